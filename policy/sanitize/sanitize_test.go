package sanitize

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

var texts = []struct{ text, want string }{
	{"", ""},
	{"default", "default"},
	{`a\b "c"`, `a\b "c"`},
	{"grün 路由\u3000🙂 é e\u0301", "grün 路由\u3000🙂 é e\u0301"},
	{"\x1b[2J\x1b]0;title\x07", `\u001b[2J\u001b]0;title\u0007`},
	{"a\r\nb\tc\x7f\x00", `a\r\nb\tc\u007f\u0000`},
	{"\u009b31m", `\u009b31m`},
	{"\u202eevil\u2066\u200f\ufeff", `\u202eevil\u2066\u200f\ufeff`},
	{"\u2028\u2029\u00ad", `\u2028\u2029\u00ad`},
	{"\xff\x9b\xc3", `\ufffd\ufffd\ufffd`},
	{"\ufffd", `\ufffd`},
	{"\ue000\u0378", `\ue000\u0378`},
	{"\U000e0041", `\udb40\udc41`},
	{"a\u3164\u034f\ufe0f\U000e0100b", `a\u3164\u034f\ufe0f\udb40\udd00b`},
}

func TestText(t *testing.T) {
	for _, c := range texts {
		if got := Text(c.text); got != c.want {
			t.Errorf("Text(%q) = %s, want %s", c.text, got, c.want)
		}
	}
}

// Lines differs from Text in line feeds and tabs alone.
func TestLines(t *testing.T) {
	for _, c := range texts {
		want := c.want
		if strings.Contains(c.text, "\n") {
			want = strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(want)
		}
		if got := Lines(c.text); got != want {
			t.Errorf("Lines(%q) = %q, want %q", c.text, got, want)
		}
	}
}

func TestShorten(t *testing.T) {
	if got := Shorten(strings.Repeat("a", longest)); got != strings.Repeat("a", longest) {
		t.Errorf("what is not too long became %q", got)
	}
	got := Shorten("begin" + strings.Repeat("路", 1<<20) + "end")
	if want := fmt.Sprintf(" … (%d bytes) … ", 8+3<<20); !strings.HasPrefix(got, "begin路") || !strings.HasSuffix(got, "路end") || !strings.Contains(got, want) || len(got) > longest+50 || !utf8.ValidString(got) {
		t.Errorf("got %d bytes, %.200q, want the beginning, %q and the end", len(got), got, want)
	}
	if got := Shorten(strings.Repeat("\x80", longest+1)); len(got) > longest+50 {
		t.Errorf("got %d bytes of what is not UTF-8", len(got))
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"", 0, ""}, {"abc", 3, "abc"}, {"abc", 9, "abc"}, {"abc", 2, "ab"}, {"abc", 0, ""},
		{"aü", 2, "a"}, {"aü", 3, "aü"}, {"路由", 5, "路"}, {"路由", 2, ""}, {"\x80\x80", 1, ""},
	} {
		if got := Cut(c.text, c.n); got != c.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", c.text, c.n, got, c.want)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, c := range texts {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text, lines := Text(s), Lines(s)
		requireHarmless(t, text, "")
		requireHarmless(t, lines, "\n\t")
		if Text(text) != text || Lines(lines) != lines || Text(lines) != text {
			t.Fatalf("sanitized again, %q and %q change", text, lines)
		}
		// A JSON text means the same afterwards.
		encoded, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var before, after string
		if json.Unmarshal(encoded, &before) != nil || json.Unmarshal([]byte(Text(string(encoded))), &after) != nil || before != after {
			t.Fatalf("the JSON of %q means %q afterwards", before, after)
		}
	})
}

// requireHarmless states independently of the code what may not be in a text.
func requireHarmless(t *testing.T, text, except string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Fatalf("%q is not UTF-8", text)
	}
	for _, r := range text {
		if strings.ContainsRune(except, r) {
			continue
		}
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.Variation_Selector) || r == utf8.RuneError {
			t.Fatalf("%q has %U", text, r)
		}
	}
}
