package terminal

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHarmless(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"default", "default"},
		{"grün 路由 🙂 é", "grün 路由 🙂 é"},
		{"\x1b[2J\x1b]0;title\x07", `\u001b[2J\u001b]0;title\u0007`},
		{"a\r\nb\tc\x7f\x00", `a\u000d\u000ab\u0009c\u007f\u0000`},
		{"\u009b31m", `\u009b31m`},
		{"\u202eevil\u2066\ufeff", `\u202eevil\u2066\ufeff`},
		{"\u2028\u2029", `\u2028\u2029`},
		{"\xff\x9b\xc3", `\ufffd\ufffd\ufffd`},
		{"\U000e0041", `\udb40\udc41`},
		{"a\u3164\u034f\ufe0f\U000e0100b", `a\u3164\u034f\ufe0f\udb40\udd00b`}, // nothing of it would be seen
	} {
		got := Harmless(c.text)
		if got != c.want {
			t.Errorf("Harmless(%q) is %s, want %s", c.text, got, c.want)
		}
		if again := Harmless(got); again != got {
			t.Errorf("Harmless(%s) is %s", got, again)
		}
	}
}

func TestHarmlessLines(t *testing.T) {
	if got, want := HarmlessLines("a\x1b[2J\n\nb\r\n"), "a\\u001b[2J\n\nb\\u000d\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What is harmless is seen as it is, and means the same within JSON.
func FuzzHarmless(f *testing.F) {
	f.Add("\x1b[2J\u009b\xff\u202e\"\\")
	f.Fuzz(func(t *testing.T, s string) {
		got := Harmless(s)
		for _, r := range got {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
				t.Fatalf("Harmless(%q) has %U", s, r)
			}
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var before, after string
		if json.Unmarshal(text, &before) != nil || json.Unmarshal([]byte(Harmless(string(text))), &after) != nil || before != after {
			t.Fatalf("of %q became %q", before, after)
		}
		if columns, _ := cut(got, 10); Width(columns) > 10 {
			t.Fatalf("%q takes %d columns", columns, Width(columns))
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
