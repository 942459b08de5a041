package main

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// documentWidth is the longest line of prose, in characters: a changed word is then
// a changed line in a diff, not a changed paragraph.
const documentWidth = 100

func TestDocumentsAreWrapped(t *testing.T) {
	t.Parallel()
	for _, name := range append(documents(t), filepath.Join(root, "config.toml")) {
		for _, line := range unwrapped(document(t, name)) {
			t.Errorf("%s has a line of more than %d characters: %.40s…", name, documentWidth, line)
		}
	}
}

// A line that is nothing but a link cannot be broken.
var onlyLink = regexp.MustCompile(`^\s*([-*] )?\[[^\]]*\]\(\S+\)[.,:;]?$`)

// generatedText is what a program writes into a document, between two comments.
var generatedText = regexp.MustCompile(`(?s)<!-- \w+ begins -->.*?<!-- \w+ ends -->`)

// unwrapped returns the lines of prose that are too long. Fenced blocks, rows of tables
// and generated text may have any length.
func unwrapped(text string) (long []string) {
	fenced := false
	for line := range strings.SplitSeq(generatedText.ReplaceAllString(text, ""), "\n") {
		fence := strings.HasPrefix(strings.TrimLeft(line, " "), "```")
		if fence {
			fenced = !fenced
		}
		if !fence && !fenced && utf8.RuneCountInString(line) > documentWidth &&
			!strings.HasPrefix(line, "|") && !onlyLink.MatchString(line) {
			long = append(long, line)
		}
	}
	return long
}

func TestUnwrapped(t *testing.T) {
	long := strings.Repeat("ä ", 51)
	link := "- [" + long + "](docs/abi.md)"
	text := strings.Join([]string{
		"# heading", long, "  " + long, "```text", long, "```", "- item", "  ```sh", long, "  ```",
		"| " + long, "<!-- tool begins -->", long, "<!-- tool ends -->", link, link + " and more", long[:99],
	}, "\n")
	if got, want := unwrapped(text), []string{long, "  " + long, link + " and more"}; !slices.Equal(got, want) {
		t.Errorf("unwrapped lines %q, want %q", got, want)
	}
}
