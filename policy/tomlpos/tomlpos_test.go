package tomlpos

import (
	"errors"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// everything has keys in every form that TOML has.
const everything = "\ufeff# [no]\r\n" + `top = 1 # x = 1
[a] # [b]
plain = "[no] # \" \\"
'quoted key' = 'C:\'
"es\u0063aped" = """
no = 1
""""
d . o."t" = '''
[no]'''''
list = [ # ]
  "]", [1,
  2], { in = 1 }, '''x''''', { on = 2 } # }
]
inline = { x = { y = 1 }, z = "}" }
when = 1979-05-27 07:32:00
[ b . "c d" ]
k = 1
[[t]]
x = 1
[[t]]
x = 2
[t.sub]
x = 3
[[t.more]]
y = 1
[[t.more]]
y = 2
[a.late]
"" = 1
`

func TestLines(t *testing.T) {
	want := map[string]int{
		"top": 2, "a": 3, "a.plain": 4, `a."quoted key"`: 5, "a.escaped": 6,
		"a.d": 9, "a.d.o": 9, "a.d.o.t": 9,
		"a.list": 11, "a.list.0": 12, "a.list.1": 12, "a.list.1.0": 12, "a.list.1.1": 13, "a.list.2": 13, "a.list.2.in": 13, "a.list.3": 13, "a.list.4": 13, "a.list.4.on": 13,
		"a.inline": 15, "a.inline.x": 15, "a.inline.x.y": 15, "a.inline.z": 15, "a.when": 16,
		"b": 17, `b."c d"`: 17, `b."c d".k`: 18,
		"t": 19, "t.0": 19, "t.0.x": 20, "t.1": 21, "t.1.x": 22, "t.1.sub": 23, "t.1.sub.x": 24,
		"t.1.more": 25, "t.1.more.0": 25, "t.1.more.0.y": 26, "t.1.more.1": 27, "t.1.more.1.y": 28,
		"a.late": 29, `a.late.""`: 30,
	}
	for ends, text := range map[string]string{"LF": everything, "CRLF": strings.ReplaceAll(strings.ReplaceAll(everything, "\r", ""), "\n", "\r\n")} {
		d := Scan([]byte(text))
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if d.Lines[name] != want[name] {
				t.Errorf("%s, %s: got line %d, want %d", ends, name, d.Lines[name], want[name])
			}
		}
		for name, line := range d.Lines {
			if _, ok := want[name]; !ok {
				t.Errorf("%s, %s: got line %d, want none", ends, name, line)
			}
		}
		if d.LongString != 6 {
			t.Errorf("%s: the first long string is on line %d, want 6", ends, d.LongString)
		}
		sameAsDecoder(t, text)
	}
}

func TestLineOfNearest(t *testing.T) {
	d := Scan([]byte("a = 1\n\n[b]\nlist = [\n{ x = 1 } ]\n"))
	for _, c := range []struct {
		path []string
		want int
	}{
		{[]string{"a"}, 1}, {[]string{"b"}, 3}, {[]string{"b", "list"}, 4}, {[]string{"b", "list", "0", "x"}, 5},
		{[]string{"b", "list", "x"}, 4}, {[]string{"b", "c", "d"}, 3}, {[]string{"c"}, 0}, {nil, 0},
	} {
		if got := d.Line(c.path...); got != c.want {
			t.Errorf("Line(%q) = %d, want %d", c.path, got, c.want)
		}
	}
}

func TestRepeats(t *testing.T) {
	for text, want := range map[string]Repeat{
		"a = 1\na = 2":               {"a", 1},
		"[a]\n\n[a]":                 {"a", 1},
		"[a.b]\nc = 1\n[a]\nb = 1":   {"a.b", 1},
		"a = 1\n[a]":                 {"a", 1},
		"a = 1\n[a.b]":               {"a", 1},
		"a.b = 1\na.b.c = 2":         {"a.b", 1},
		"[a]\nx = 1\n\"x\" = 2":      {"a.x", 2},
		"[[a]]\n[a]":                 {"a", 1},
		"[a]\n[a.b]\n[a]":            {"a", 1},
		"[a]\n[[a]]":                 {"a", 1},
		"[[a]]\n[[a]]\nx=1\nx=2":     {"a.1.x", 3},
		"a = {\nb = 1, c = 2,\nb=3}": {"a.b", 2},
	} {
		d := Scan([]byte(text))
		_, err := d.Decode()
		syntax, ok := errors.AsType[*SyntaxError](err)
		if !ok {
			t.Errorf("%q: got %v, want a syntax error", text, err)
			continue
		}
		if got, _ := d.Repeat(syntax.Line); got != want {
			t.Errorf("%q: %v: got %+v, want %+v", text, err, got, want)
		}
	}
	for _, text := range []string{"[a.b]\n[a]", "[[a]]\n[[a]]\n[a.b]", "[a.b]\n[a.c]", "a.b = 1\na.c = 1", "[[a]]\nx=1\n[[a]]\nx=1"} {
		d := Scan([]byte(text))
		if _, err := d.Decode(); err != nil || len(d.repeats) > 0 {
			t.Errorf("%q: %v, %v, want no repeat", text, err, d.repeats)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	for text, want := range map[string]SyntaxError{
		"a = 1\nb = \n":               {2, "expected value", ""},
		"a = 1\r\nb = ?\r\n":          {2, "expected value", ""},
		"\ufeff\na b = 1\n":           {2, "expected '.' or '='", ""},
		"\ufeffa = 1\n\n\n= 1":        {4, "unexpected '=': key name appears blank", ""},
		"a = 1\n1 = [0b\n1]\n":        {2, "not a binary number", ""},
		strings.Repeat("[", 9) + "\n": {1, "expected '.' or ']' to end table name", ""},
		// Bytes that no TOML has.
		"\xff\xfea\x00":          {1, "it is UTF-16", saveAsUTF8},
		"a\x00=\x001\x00":        {1, "it has the control character U+0000", "remove that"},
		"a = 1\n\x01b = 1\n":     {2, "it has the control character U+0001", "remove that"},
		"a = 1\n\n  \x7f\nb = 1": {3, "it has the control character U+007F", "remove that"},
		"a = 1\rb = 1\n":         {1, "it has the control character U+000D", "remove that"},
		"a = 1\n# \xe4\n":        {2, "it is not UTF-8", saveAsUTF8},
		"a = 1\nb = '\xe4'\n":    {2, "it is not UTF-8", saveAsUTF8},
		"a = '\ufffd'\n= 1":      {2, "unexpected '=': key name appears blank", ""},
	} {
		values, err := Scan([]byte(text)).Decode()
		if got, ok := errors.AsType[*SyntaxError](err); !ok || *got != want || values != nil {
			t.Errorf("%q: got %+v, %v, want %+v", text, values, err, want)
		}
	}
}

// Deep nesting and long paths are refused before they take memory.
func TestBounds(t *testing.T) {
	const size = 16 << 10
	const deep, long = "nests deeper than 16 levels", "the path to a key is longer than 512 bytes"
	for name, c := range map[string]struct {
		text string
		line int
	}{
		"a long name":              {"[a]\n" + strings.Repeat("a", size) + " = 1", 2},
		"keys below a long name":   {"a = 1\n[" + strings.Repeat("a", size/2) + "]\n" + strings.Repeat("a=1\n", size/8), 2},
		"in a long name":           {"a = [\n{" + strings.Repeat("a", size/2) + " = [" + strings.Repeat("{a=1},", size/12) + "]}]", 2},
		"elements of a long name":  {"\n" + strings.Repeat("a", size/2) + " = [" + strings.Repeat("1,", size/4) + "]", 2},
		"a name one byte too long": {strings.Repeat("a", MaxPath+1) + " = 1", 1},
		"one bracket":              {"a = " + strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1), 1},
		"one dot":                  {strings.Repeat("a.", MaxDepth+1) + "a = 1", 1},
		"dots and brackets":        {strings.Repeat("a.", 10) + "a = " + strings.Repeat("[", MaxDepth-9) + strings.Repeat("]", MaxDepth-9), 1},
		"brackets":                 {"\na = " + strings.Repeat("[", size), 2},
		"braces":                   {"a = " + strings.Repeat("{a=", size/3), 1},
		"dots":                     {"a = [\n{" + strings.Repeat("a.", size/2) + "a = 1}]", 2},
		"a header":                 {"[" + strings.Repeat("a.", size/2) + "a]", 1},
		"a list's header":          {"[[" + strings.Repeat("a . ", size/4) + "a]]", 1},
		"dots within braces":       {"a = " + strings.Repeat("{a.a.a.a=", size/9), 1},
		"brackets within braces":   {"a = [" + strings.Repeat("[{'a'=", size/6), 1},
		"behind a string":          {"a = ['\"#', \"\\\"'#\", '#\\', " + strings.Repeat("[", size), 1},
		"behind lines that fail":   {"a = ]\n'\n\"\\\n[a\n= [[\n" + strings.Repeat("a.", size/2) + "a = 1", 6},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d := Scan([]byte(c.text))
		_, err := d.Decode()
		runtime.ReadMemStats(&after)
		syntax, ok := errors.AsType[*SyntaxError](err)
		want := long
		if d.TooDeep == c.line {
			want = deep
		}
		if !ok || *syntax != (SyntaxError{Line: c.line, What: want}) || (want == long) != strings.Contains(name, "long") {
			t.Errorf("%s: got %v, too deep on line %d, want it refused on line %d", name, err, d.TooDeep, c.line)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("%s: took %d bytes", name, took)
		}
	}
	for _, text := range []string{
		"a = " + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth),
		"a = " + strings.Repeat("{a=", MaxDepth) + "1" + strings.Repeat("}", MaxDepth),
		strings.Repeat("a.", MaxDepth) + "a = 1",
		"[" + strings.Repeat("a.", MaxDepth) + "a]\n" + strings.Repeat("a.", MaxDepth) + "a = 1",
		"a = [\"" + strings.Repeat("[", 100) + "\"] # " + strings.Repeat("[", 100),
		"[" + strings.Repeat("a", MaxPath-2) + "]\nb = 1",
		strings.Repeat("a = [[[[]]]]\n[[b]]\n", 100),
	} {
		if d := Scan([]byte(text)); d.TooDeep != 0 {
			t.Errorf("%.100q is too deep", text)
		}
		sameAsDecoder(t, text)
	}
}

func TestErrors(t *testing.T) {
	e := Errors{{"f", 9, "this", "do that"}, {"f", 2, "one", "do two"}, {"f", 9, "then", "do so"}}
	e.Sort()
	if got, want := e.Error(), "f:2: one; do two\nf:9: this; do that\nf:9: then; do so"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if one, ok := errors.AsType[*Error](e); !ok || one.Line != 2 {
		t.Errorf("%v, want the first", one)
	}
}

// Scan and Decode return for every text, and of every text that the decoder accepts, Scan
// finds the same keys, each with a line.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		everything, "a = 1", "[a.b]\nc.d = 2", "[[a]]\nb = 1\n[[a]]\n[a.c]", "a = [{b = 1}, {c = []}]", "a = { b = [\n1,\n], c.d = {} }",
		"'' = 1", "\"\\u00e9\" = \"\"\"\n\\\"\"\"\"\"\"", "a = '''''''", "[ a . 'b' ]", "a = 1979-05-27 07:32:00 # x\nb = 1", "a", "[", "= ", "a = [", "a={", "\"", "'''",
		"a = {\n b = 1, # c\n}\n", "\xff\xfea = 1", "\ufeff\ufeffa = 1", "a = [[{b = [{c = 1}]}]]\r\n[x]\r\n",
		"[a]\n[a]", "a = 1\na.b = 2", "\"a\n\" = 1\nb = 2", "'''a''' = 1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) <= 4<<10 {
			sameAsDecoder(t, text)
		}
	})
}

// sameAsDecoder compares Scan with the decoder, if the decoder accepts the text.
func sameAsDecoder(t *testing.T, text string) {
	t.Helper()
	d := Scan([]byte(text))
	values, err := d.Decode()
	lines := strings.Count(text, "\n") + 1
	if err != nil {
		syntax, ok := errors.AsType[*SyntaxError](err)
		if !ok || syntax.Line < 0 || syntax.Line > lines || syntax.What == "" || strings.ContainsAny(syntax.What, "\r\n\x1b") {
			t.Errorf("got %v of %d lines", err, lines)
		}
		return
	}
	meta, err := toml.Decode(text, new(map[string]any))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(d.Keys), len(meta.Keys()); got != want {
		t.Fatalf("%q: %d keys, want %d: %v, want %v", text, got, want, d.Keys, meta.Keys())
	}
	last := 1
	for i, want := range meta.Keys() {
		got := d.Keys[i]
		if !slices.Equal(got.Name, want) || got.Line < last || got.Line > lines {
			t.Errorf("%q: key %d is %q on line %d, want %q behind line %d", text, i, got.Name, got.Line, want, last)
		}
		last = got.Line
	}
	wantLines(t, d, nil, values)
}

// wantLines fails unless each key and element of a value has a line that is not above its
// table's or list's.
func wantLines(t *testing.T, d *Document, path toml.Key, v any) {
	if line := d.Lines[path.String()]; len(path) > 0 && line < max(1, d.Lines[path[:len(path)-1].String()]) {
		t.Errorf("%q: %s is on line %d", d.text, path, line)
	}
	below := func(name string) toml.Key { return append(slices.Clip(path), name) }
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			wantLines(t, d, below(name), inner)
		}
	case []map[string]any:
		for i, inner := range v {
			wantLines(t, d, below(strconv.Itoa(i)), inner)
		}
	case []any:
		for i, inner := range v {
			wantLines(t, d, below(strconv.Itoa(i)), inner)
		}
	}
}

// A fault that quotes a very long value keeps its place and its remedy.
func TestErrorOfALongValue(t *testing.T) {
	got := (&Error{Name: "x", Line: 2, What: "unknown action " + strings.Repeat("x", 1<<20), Remedy: "did you mean drop?"}).Error()
	if len(got) > 3000 || !strings.HasPrefix(got, "x:2: unknown action xxx") || !strings.HasSuffix(got, "xxx; did you mean drop?") {
		t.Errorf("got %d bytes: %.100s … %s", len(got), got, got[len(got)-100:])
	}
}
