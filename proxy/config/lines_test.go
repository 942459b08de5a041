package config

import (
	"strconv"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestLineNumbers(t *testing.T) {
	source := "\ufeff# [no]\r\n" + `top = 1 # x = 1
[a] # [b]
plain = "[no] # \" \\"
'quoted key' = 'C:\'
"es\u0063aped" = """
no = 1
""""
d . o."t" = '''
[no]'''
list = [ # ]
  "]", [1,
  2], { in = 1 }, # }
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
`
	want := map[string]int{
		"top": 2, "a": 3, "a.plain": 4, `a."quoted key"`: 5, "a.escaped": 6,
		"a.d": 9, "a.d.o": 9, "a.d.o.t": 9,
		"a.list": 11, "a.list.0": 12, "a.list.1": 12, "a.list.1.0": 12, "a.list.1.1": 13, "a.list.2": 13, "a.list.2.in": 13,
		"a.inline": 15, "a.inline.x": 15, "a.inline.x.y": 15, "a.inline.z": 15, "a.when": 16,
		"b": 17, `b."c d"`: 17, `b."c d".k`: 18,
		"t": 19, "t.0": 19, "t.0.x": 20, "t.1": 21, "t.1.x": 22, "t.1.sub": 23, "t.1.sub.x": 24,
		"t.1.more": 25, "t.1.more.0": 25, "t.1.more.0.y": 26, "t.1.more.1": 27, "t.1.more.1.y": 28,
		"a.late": 29,
	}
	var doc map[string]any
	if _, err := toml.Decode(source, &doc); err != nil {
		t.Fatal(err)
	}
	got := lineNumbers(source)
	for name, line := range want {
		if got[name] != line {
			t.Errorf("%s: got line %d, want %d", name, got[name], line)
		}
	}
	for name, line := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: got line %d, want none", name, line)
		}
	}
}

// Whatever the TOML package takes, every key in it has a line, down to the deepest
// that has one; and no input at all
// makes the scan, or the reading of a configuration, fail to end.
func FuzzLineNumbers(f *testing.F) {
	for _, seed := range []string{
		"a = 1", "[a.b]\nc.d = 2", "[[a]]\nb = 1\n[[a]]\n[a.c]", "a = [{b = 1}, {c = []}]", "a = { b = [\n1,\n], c.d = {} }",
		"'' = 1", "\"\\u00e9\" = \"\"\"\n\\\"\"\"\"\"\"", "a = '''''''", "[ a . 'b' ]", "a = 1979-05-27 07:32:00 # x\nb = 1", "a", "[", "= ", "a = [", "a={", "\"", "'''",
		"a = {\n b = 1, # c\n}\n",
		"[[listener]]\naddress = ':1'\ntenants = ['a', 'a', 1]\nallow = ['0.0.0.0/0', '']\n[listener.tls]\nclient_ca = 'x'\n[tenant.a.claims]\nnetworks = ['::1']",
		"[[listener]]\naddress = '[::1]:1'\ntenants = ['a', 'b']\n[tenant.a]\nclaims.server_names = ['*', 'b']\n[tenant.b]\nclaims.networks = []\n[tenant.default]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		// What is nested thousands deep takes the decoder seconds, and says nothing new.
		if len(source) > 4<<10 || strings.Count(source, "{")+strings.Count(source, "[")+strings.Count(source, ".") > 100 {
			return
		}
		lines := lineNumbers(source)
		r := &reader{config: Default(), places: make(map[string]Place), faulty: make(map[string]bool)}
		r.index()
		if r.file(source) {
			r.finish(nil, nil)
		}
		var doc map[string]any
		if _, err := toml.Decode(source, &doc); err == nil {
			wantLines(t, lines, nil, doc)
		}
	})
}

func wantLines(t *testing.T, lines map[string]int, path toml.Key, value any) {
	if len(path) > deepest {
		return
	}
	if _, ok := lines[path.String()]; !ok && len(path) > 0 {
		t.Errorf("no line for %s", path)
	}
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			wantLines(t, lines, append(path[:len(path):len(path)], name), inner)
		}
	case []map[string]any:
		for i, inner := range v {
			wantLines(t, lines, append(path[:len(path):len(path)], strconv.Itoa(i)), inner)
		}
	case []any:
		for i, inner := range v {
			wantLines(t, lines, append(path[:len(path):len(path)], strconv.Itoa(i)), inner)
		}
	}
}
