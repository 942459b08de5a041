package main

import (
	"errors"
	"html"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// built returns the site of this repository, by path.
func built(t *testing.T) map[string]string {
	t.Helper()
	folder := t.TempDir()
	if err := build("../..", folder); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		name, _ = filepath.Rel(folder, name)
		files[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var (
	reference = regexp.MustCompile(`(href|src)="([^"]*)"`)
	anchorID  = regexp.MustCompile(` id="([^"]*)"`)
)

// Every link in the built pages leads to a page and a heading that are there, every page can be
// reached from the first one, and no page loads anything from elsewhere.
func TestSiteIsWhole(t *testing.T) {
	files := built(t)
	reached := map[string]bool{}
	next := []string{"index.html"}
	for len(next) > 0 {
		from := next[0]
		next = next[1:]
		if reached[from] {
			continue
		}
		reached[from] = true
		for _, m := range reference.FindAllStringSubmatch(files[from], -1) {
			to := html.UnescapeString(m[2])
			if strings.HasPrefix(to, "https://") && m[1] == "href" || to == "data:," {
				continue
			}
			file, anchor, _ := strings.Cut(to, "#")
			target := from
			if file != "" {
				target = path.Join(path.Dir(from), file)
			}
			text, ok := files[target]
			if !ok || strings.Contains(to, ":") {
				t.Errorf("%s: %s is not there", from, m[0])
			} else if anchor != "" && !slices.ContainsFunc(anchorID.FindAllStringSubmatch(text, -1), func(id []string) bool { return html.UnescapeString(id[1]) == anchor }) {
				t.Errorf("%s: %s: no such heading", from, m[0])
			}
			if path.Ext(target) == ".html" {
				next = append(next, target)
			}
		}
	}
	for name := range files {
		if path.Ext(name) == ".html" && !reached[name] {
			t.Errorf("no page links to %s; add the document to docs/README.md", name)
		}
	}
	if len(reached) < 25 {
		t.Errorf("reached %d pages, want at least 25", len(reached))
	}
	for _, name := range []string{"style.css", "search.js"} {
		if strings.Contains(files[name], "//cdn") || strings.Contains(files[name], "http") || strings.Contains(files[name], "@import") {
			t.Errorf("%s loads something from elsewhere", name)
		}
	}
}

func TestMenuIsThatOfTheDocuments(t *testing.T) {
	page := built(t)["docs/abi.html"]
	for _, want := range []string{
		"<h2>To use Switchyard</h2>", `<li><a href="operations.html">Operations</a></li>`, `<li><a href="../config.toml.html">config.toml</a></li>`,
		"<h2>To understand or change Switchyard</h2>", `<li><a href="abi.html" aria-current="page">The policy ABI, version 1</a></li>`,
		`<li><a href="../CHANGELOG.html">Changelog</a></li>`, `<link rel="stylesheet" href="../style.css">`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("docs/abi.html lacks %s", want)
		}
	}
}

// A link that leads nowhere is named with its document.
func TestLinksThatLeadNowhere(t *testing.T) {
	files := func(text string) fs.FS {
		return fstest.MapFS{
			"README.md":      {Data: []byte("# First\n\n" + text)},
			"docs/README.md": {Data: []byte("# Documents\n\nAll:\n\n| Document |\n| --- |\n| [a](a.md) |")},
			"docs/a.md":      {Data: []byte("# A\n\n## Part one")}, "x/file.txt": {Data: []byte("<text>")},
		}
	}
	for text, want := range map[string]string{
		"[a](docs/a.md#part-one) [b](https://example.org/#x) [c](x/file.txt) [d](x) [e](#first) [f](docs)": "",
		"[a](docs/b.md)":          "README.md: links to docs/b.md, which is not there",
		"[a](docs/a.md#part-two)": "README.md: links to docs/a.md#part-two, and docs/a.md has no such heading",
		"[a](#second)":            "README.md: links to #second, and README.md has no such heading",
		"[a](x/file.txt#line)":    "README.md: links to x/file.txt#line, and x/file.txt has no such heading",
		"[a](y)\n[b](z)":          "README.md: links to y, which is not there\nREADME.md: links to z, which is not there",
	} {
		_, err := read(files(text))
		if got := errors.Join(err); (got == nil) != (want == "") || got != nil && got.Error() != want {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	if _, err := read(fstest.MapFS{"README.md": {}}); err == nil {
		t.Error("documents without docs/README.md are a site without a menu")
	}
}

func TestHeadingsHaveTheIDsOfGitHub(t *testing.T) {
	text := "# A `peer.max_pdu` of 16 MiB\n## What's new, and why?\n## [Link](x.md) – dash\n## Twice\n## Twice\n## Ärger: ß\n"
	var got []string
	for _, h := range headingsOf(parseMarkdown([]byte(text)), []byte(text)) {
		got = append(got, h.id)
	}
	want := []string{"a-peermax_pdu-of-16-mib", "whats-new-and-why", "link--dash", "twice", "twice-1", "ärger-ß"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLinksBetweenPages(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"index.html", "docs/abi.html", "docs/abi.html"},
		{"docs/abi.html", "docs/policies.html", "policies.html"},
		{"docs/abi.html", "index.html", "../index.html"},
		{"plugins/sdk/go/index.html", "plugins/sdk/index.html", "../index.html"},
		{"plugins/sdk/go/index.html", "plugins/unicast/index.html", "../../unicast/index.html"},
		{"docs/abi.html", "", "../"},
		{"index.html", "", ""},
	} {
		if got := (&page{target: c.from}).to(c.to); got != c.want {
			t.Errorf("from %s to %q: %q, want %q", c.from, c.to, got, c.want)
		}
	}
}
