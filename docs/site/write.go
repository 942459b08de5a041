package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
)

var (
	//go:embed page.html
	pageSource string
	//go:embed style.css
	style []byte
	//go:embed search.js
	search []byte

	layout = template.Must(template.New("page").Parse(pageSource))
)

// write writes the pages, the style and the search. What else is in the folder stays.
func (s *site) write(folder string) error {
	index, err := s.searchIndex()
	if err != nil {
		return err
	}
	files := map[string][]byte{"style.css": style, "search.js": search, "search-index.js": index}
	for _, p := range s.pages {
		if files[p.target], err = s.render(p); err != nil {
			return fmt.Errorf("%s: %w", p.source, err)
		}
	}
	for name, content := range files {
		name = filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// A view is what the layout shows of a page. Links are relative to the page.
type view struct {
	Title  string
	Source string
	Root   string // the link to the folder of the site: "", "../" or longer
	Menu   []menuGroup
	Within []menuLink // the page's own headings
	Body   template.HTML
}

type menuGroup struct {
	Title string
	Links []menuLink
}

type menuLink struct {
	Href, Text string
	Here       bool // the page itself
	Deep       bool // a heading below another one
}

func (s *site) render(p *page) ([]byte, error) {
	body := p.listing()
	if p.tree != nil {
		addAnchors(p.tree)
		var err error
		if body, err = renderMarkdown(p.tree, p.text); err != nil {
			return nil, err
		}
	}
	v := view{Title: p.title, Source: p.source, Root: p.to(""), Body: template.HTML(body)}
	for _, g := range s.menu {
		links := menuGroup{Title: g.title}
		for _, to := range g.pages {
			links.Links = append(links.Links, menuLink{Href: p.to(to.target), Text: to.title, Here: to == p})
		}
		v.Menu = append(v.Menu, links)
	}
	for _, h := range p.headings {
		if h.level == 2 || h.level == 3 {
			v.Within = append(v.Within, menuLink{Href: "#" + h.id, Text: h.text, Deep: h.level == 3})
		}
	}
	var out bytes.Buffer
	err := layout.Execute(&out, v)
	return out.Bytes(), err
}

// listing returns the HTML of a file that is not a document.
func (p *page) listing() string {
	var out strings.Builder
	fmt.Fprintf(&out, "<h1>%s</h1>\n<pre><code>", html.EscapeString(p.title))
	for line := range strings.Lines(string(p.text)) {
		if id := tableOf(p.source, line); id != "" {
			fmt.Fprintf(&out, `<span id="%s"></span>`, html.EscapeString(id))
		}
		out.WriteString(html.EscapeString(line))
	}
	out.WriteString("</code></pre>")
	return out.String()
}

// tableOf returns the name of the table that a line of a TOML file begins, or "".
func tableOf(source, line string) string {
	if path.Ext(source) != ".toml" || !strings.HasPrefix(line, "[") {
		return ""
	}
	return strings.Trim(strings.TrimSpace(line), "[]")
}

// parts returns the tables of a TOML file, as sections does the sections of a document.
func (p *page) parts() (parts [][4]string) {
	for line := range strings.Lines(string(p.text)) {
		if id := tableOf(p.source, line); id != "" {
			parts = append(parts, [4]string{p.target + "#" + id, p.title, id, ""})
		} else if n := len(parts); n > 0 {
			parts[n-1][3] += strings.TrimLeft(line, "# ")
		}
	}
	return parts
}

// inOrder returns the pages in the order of the menu, and then those that are not in it.
func (s *site) inOrder() (pages []*page) {
	for _, g := range s.menu {
		pages = append(pages, g.pages...)
	}
	for _, source := range slices.Sorted(maps.Keys(s.pages)) {
		if !slices.Contains(pages, s.pages[source]) {
			pages = append(pages, s.pages[source])
		}
	}
	return pages
}

// searchIndex returns the script with all sections, those of the first pages of the menu first, each
// with its link, the title of its page, its heading and its text.
func (s *site) searchIndex() ([]byte, error) {
	var sections [][4]string
	for _, p := range s.inOrder() {
		if p.tree != nil {
			sections = append(sections, p.sections()...)
		} else {
			sections = append(sections, p.parts()...)
		}
	}
	var out bytes.Buffer
	out.WriteString("const sections = ")
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(sections)
	return out.Bytes(), err
}

// sections returns, for each heading of a document, its link, the page's title, its text, and the
// text below it.
func (p *page) sections() (sections [][4]string) {
	var below []string
	add := func() {
		if n := len(sections); n > 0 {
			sections[n-1][3] = strings.Join(below, " ")
		}
		below = nil
	}
	for n := p.tree.FirstChild(); n != nil; n = n.NextSibling() {
		if _, ok := n.(*ast.Heading); ok {
			add()
			h := p.headings[len(sections)]
			sections = append(sections, [4]string{p.target + "#" + h.id, p.title, h.text, ""})
			continue
		}
		below = append(below, textOf(n, p.text))
	}
	add()
	return sections
}
