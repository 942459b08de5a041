package terminal

import (
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A cut text takes no more columns than it may.
func FuzzCut(f *testing.F) {
	f.Add("路由 e\u0301tude 🙂", 3)
	f.Fuzz(func(t *testing.T, s string, most int) {
		most = max(most, 0)
		begin, taken := cut(s, most)
		if !strings.HasPrefix(s, begin) || taken != Width(begin) || taken > most {
			t.Fatalf("of %q, %q takes %d columns, counted as %d; want at most %d", s, begin, Width(begin), taken, most)
		}
	})
}

func TestWidths(t *testing.T) {
	for _, c := range []struct {
		text    string
		columns int
		short   string // of 6 columns
	}{
		{"", 0, ""}, {"abcdef", 6, "abcdef"}, {"abcdefg", 7, "abc..."}, {"路由路由", 8, "路..."}, {"e\u0301tude", 5, "e\u0301tude"}, {"🙂🙂🙂", 6, "🙂🙂🙂"}, {"🚀🪐🚀🪐", 8, "🚀..."},
	} {
		if got := Width(c.text); got != c.columns {
			t.Errorf("%s takes %d columns, want %d", c.text, got, c.columns)
		}
		if got := Shorten(c.text, 6); got != c.short {
			t.Errorf("%s is shortened to %s, want %s", c.text, got, c.short)
		}
	}
}

func TestRender(t *testing.T) {
	page := []Line{{{Text: "abc"}, {Text: "de\x1b[2Jf", Style: Alarm}}, nil, {{Text: "路由"}}, {{Text: "last"}}}
	for _, c := range []struct {
		name          string
		columns, rows int
		colour        bool
		want          string
	}{
		{"room for all", 40, 6, false, "\x1b[H" + `abcde\u001b[2Jf` + "\x1b[K\r\n\x1b[K\r\n路由\x1b[K\r\nlast\x1b[K\r\n\x1b[J"},
		{"in colour", 40, 4, true, "\x1b[Habc\x1b[1;31m" + `de\u001b[2Jf` + "\x1b[0m\x1b[K\r\n\x1b[K\r\n路由\x1b[K\r\nlast\x1b[K"},
		{"a small window", 4, 3, false, "\x1b[Habcd\r\n\x1b[K\r\n路由"},
		{"half of a wide letter", 3, 3, false, "\x1b[Habc\r\n\x1b[K\r\n路\x1b[K"},
	} {
		if got := render(page, c.columns, c.rows, c.colour); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if got, want := render(nil, 80, 24, true), "\x1b[H\x1b[J"; got != want {
		t.Errorf("an empty page is %q, want %q", got, want)
	}
}

func TestKeys(t *testing.T) {
	for _, c := range []struct{ typed, want string }{
		{"q", "q"}, {"rl\x03", "rl\x03"}, {"\x1b[Aq", "q"}, {"\x1b[1;5Cq\x1bOPr", "qr"}, {"\x1b", ""}, {"\x1bq", ""}, {"\x1b[", ""}, {"\x1bO", ""}, {"ö\xffn", "ön"},
	} {
		if got := keysIn([]byte(c.typed)); !slices.Equal(got, []rune(c.want)) {
			t.Errorf("%q is the keys %q, want %q", c.typed, string(got), c.want)
		}
	}
	if got := keysIn([]byte(strings.Repeat("\x1b[", 1000))); len(got) > 1000 {
		t.Errorf("%d keys", len(got))
	}
}
