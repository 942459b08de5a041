package main

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

var markdown = goldmark.New(goldmark.WithExtensions(extension.GFM))

// parseMarkdown returns the tree of a document. Its headings have the ids that GitHub gives them, so
// that a link to a heading leads to the same place there and here.
func parseMarkdown(source []byte) ast.Node {
	tree := markdown.Parser().Parse(text.NewReader(source))
	seen := map[string]int{}
	walk(tree, func(n ast.Node) {
		if n.Kind() != ast.KindHeading {
			return
		}
		id := slug(textOf(n, source))
		seen[id]++
		if again := seen[id] - 1; again > 0 {
			id = fmt.Sprintf("%s-%d", id, again)
		}
		n.SetAttributeString("id", []byte(id))
	})
	return tree
}

// slug returns the id of a heading: "Tenants, TLS and quotas" is tenants-tls-and-quotas. A second one
// of the same text gets -1 behind it.
func slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		}
		return -1
	}, heading)
}

// renderMarkdown returns the HTML of a document.
func renderMarkdown(tree ast.Node, source []byte) (string, error) {
	var out bytes.Buffer
	err := markdown.Renderer().Render(&out, source, tree)
	return out.String(), err
}

// headingsOf returns the headings of a document in their order.
func headingsOf(tree ast.Node, source []byte) (headings []heading) {
	for n := tree.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok {
			headings = append(headings, heading{h.Level, idOf(h), textOf(h, source)})
		}
	}
	return headings
}

func idOf(h *ast.Heading) string {
	id, _ := h.AttributeString("id")
	text, _ := id.([]byte)
	return string(text)
}

// addAnchors puts a link to itself behind each heading, for readers who want to share it.
func addAnchors(tree ast.Node) {
	walk(tree, func(n ast.Node) {
		if h, ok := n.(*ast.Heading); ok {
			link := ast.NewLink()
			link.Destination = []byte("#" + idOf(h))
			link.SetAttributeString("class", []byte("anchor"))
			link.SetAttributeString("aria-label", []byte("Link to this section"))
			link.AppendChild(link, ast.NewString([]byte("#")))
			n.AppendChild(n, link)
		}
	})
}

// linksOf returns the links within a node.
func linksOf(n ast.Node) (links []*ast.Link) {
	walk(n, func(n ast.Node) {
		if link, ok := n.(*ast.Link); ok {
			links = append(links, link)
		}
	})
	return links
}

// unlink replaces a link by its text.
func unlink(link *ast.Link) {
	parent := link.Parent()
	for child := link.FirstChild(); child != nil; {
		next := child.NextSibling()
		parent.InsertBefore(parent, link, child)
		child = next
	}
	parent.RemoveChild(parent, link)
}

// textOf returns the text within a node, without markup, with a blank between blocks and cells.
func textOf(n ast.Node, source []byte) string {
	var out strings.Builder
	walk(n, func(n ast.Node) {
		switch n := n.(type) {
		case *ast.Text:
			out.Write(n.Segment.Value(source))
			if n.SoftLineBreak() || n.HardLineBreak() {
				out.WriteByte(' ')
			}
		case *ast.AutoLink:
			out.Write(n.Label(source))
		case *ast.FencedCodeBlock:
			out.Write(n.Lines().Value(source))
		}
		if n.Type() == ast.TypeBlock {
			out.WriteByte(' ')
		}
	})
	return strings.Join(strings.Fields(out.String()), " ")
}

func walk(n ast.Node, visit func(ast.Node)) {
	visit(n)
	for child := n.FirstChild(); child != nil; child = child.NextSibling() {
		walk(child, visit)
	}
}
