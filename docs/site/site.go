package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
)

// A site is all documents of a repository and the files that they link to.
//
//	README.md          index.html
//	docs/README.md     docs/index.html
//	docs/abi.md        docs/abi.html
//	config.toml        config.toml.html    a file that a document links to
type site struct {
	files  fs.FS
	pages  map[string]*page // by path in the repository
	menu   []group
	faults []error
}

// A page is one document or one file.
type page struct {
	source   string // its path in the repository
	target   string // its path in the site
	title    string
	text     []byte
	tree     ast.Node // nil for a file that is not a document
	headings []heading
	ids      map[string]bool // of the headings, for links to them
}

type heading struct {
	level    int
	id, text string
}

// A group is a part of the menu.
type group struct {
	title string
	pages []*page
}

// menuSource is the document whose tables are the menu.
const menuSource = "docs/README.md"

// read reads all documents and resolves their links. The error is every link that leads nowhere.
func read(files fs.FS) (*site, error) {
	s := &site{files: files, pages: map[string]*page{}}
	if err := fs.WalkDir(files, ".", s.visit); err != nil {
		return nil, err
	}
	if s.pages[menuSource] == nil {
		return nil, fmt.Errorf("%s is not there, whose tables are the menu", menuSource)
	}
	for _, source := range slices.Sorted(maps.Keys(s.pages)) {
		s.resolve(s.pages[source])
	}
	s.menu = s.readMenu(s.pages[menuSource])
	return s, errors.Join(s.faults...)
}

// visit adds a file if it is a document.
func (s *site) visit(name string, d fs.DirEntry, err error) error {
	switch {
	case err != nil:
		return err
	case d.IsDir() && (slices.Contains([]string{".git", "dist", "node_modules", "testdata"}, d.Name()) || name == "plugins/scaffold/files"):
		return fs.SkipDir
	case path.Ext(name) != ".md" || d.IsDir():
		return nil
	}
	text, err := fs.ReadFile(s.files, name)
	if err != nil {
		return err
	}
	p := &page{source: name, target: targetOf(name), text: text}
	p.parse()
	s.pages[name] = p
	return nil
}

// targetOf returns the path of a document's page.
func targetOf(source string) string {
	folder, name := path.Split(strings.TrimSuffix(source, ".md"))
	if name == "README" {
		name = "index"
	}
	return folder + name + ".html"
}

// resolve makes the links of a document lead to pages, and notes those that lead nowhere. A link to a
// folder without a document becomes text.
func (s *site) resolve(p *page) {
	for _, link := range linksOf(p.tree) {
		to := string(link.Destination)
		if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
			continue
		}
		file, anchor, hasAnchor := strings.Cut(to, "#")
		target := p
		if file != "" {
			target = s.find(path.Join(path.Dir(p.source), file))
		}
		switch {
		case target == nil && s.isFolder(path.Join(path.Dir(p.source), file)):
			unlink(link)
		case target == nil:
			s.fault(p, "links to %s, which is not there", to)
		case hasAnchor && !target.ids[anchor]:
			s.fault(p, "links to %s, and %s has no such heading", to, target.source)
		case hasAnchor:
			link.Destination = []byte(p.to(target.target) + "#" + anchor)
		default:
			link.Destination = []byte(p.to(target.target))
		}
	}
}

func (s *site) fault(p *page, format string, args ...any) {
	s.faults = append(s.faults, fmt.Errorf("%s: %s", p.source, fmt.Sprintf(format, args...)))
}

// find returns the page of a path in the repository. That of a file is made when the first link to
// it is found. It returns nil if there is neither a document nor a file.
func (s *site) find(name string) *page {
	for _, source := range []string{name, path.Join(name, "README.md")} {
		if p := s.pages[source]; p != nil {
			return p
		}
	}
	text, err := fs.ReadFile(s.files, name)
	if err != nil {
		return nil
	}
	p := &page{source: name, target: name + ".html", title: name, text: text}
	s.pages[name] = p
	return p
}

func (s *site) isFolder(name string) bool {
	info, err := fs.Stat(s.files, name)
	return err == nil && info.IsDir()
}

// readMenu reads the menu from a document: each table is a group, named by the paragraph above it, of
// the pages to which the first links of its rows lead.
func (s *site) readMenu(from *page) (menu []group) {
	add := func(title string, pages ...*page) {
		pages = slices.DeleteFunc(pages, func(p *page) bool { return p == nil }) // a link to elsewhere
		if len(pages) > 0 {
			menu = append(menu, group{title, pages})
		}
	}
	add("", s.find("README.md"))
	title := ""
	for block := from.tree.FirstChild(); block != nil; block = block.NextSibling() {
		if block.Kind() == ast.KindParagraph {
			title = strings.TrimSuffix(textOf(block, from.text), ":")
			continue
		}
		var pages []*page
		for row := block.FirstChild(); row != nil; row = row.NextSibling() {
			if links := linksOf(row); len(links) > 0 {
				pages = append(pages, s.at(from, string(links[0].Destination)))
			}
		}
		add(title, pages...)
	}
	add("The project", s.find("CHANGELOG.md"), s.find("SECURITY.md"))
	return menu
}

// at returns the page to which a resolved link of another page leads.
func (s *site) at(from *page, link string) *page {
	target := path.Join(path.Dir(from.target), link)
	for _, p := range s.pages {
		if p.target == target {
			return p
		}
	}
	return nil
}

// to returns the link from p to a path in the site.
func (p *page) to(target string) string {
	from := strings.Split(path.Dir(p.target), "/")
	if from[0] == "." {
		from = nil
	}
	parts := strings.Split(target, "/")
	for len(from) > 0 && len(parts) > 1 && from[0] == parts[0] {
		from, parts = from[1:], parts[1:]
	}
	return strings.Repeat("../", len(from)) + strings.Join(parts, "/")
}

// parse reads a document: its title and its headings.
func (p *page) parse() {
	p.text = bytes.ReplaceAll(p.text, []byte("\r\n"), []byte("\n"))
	p.tree = parseMarkdown(p.text)
	p.ids = map[string]bool{}
	for _, h := range headingsOf(p.tree, p.text) {
		if p.title == "" {
			p.title = h.text
		}
		p.ids[h.id] = true
		p.headings = append(p.headings, h)
	}
}
