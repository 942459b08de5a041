package tomlfmt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFormat(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":         {"", ""},
		"blank":         {" \n\t\r\n", ""},
		"aligned":       {"a=1\nlong_key   =   2 \n\nb = 3\n", "a        = 1\nlong_key = 2\n\nb = 3\n"},
		"comments":      {"#!first\na=1#one\nbbb='two' # 2\n", "#!first\na   = 1     #one\nbbb = 'two' # 2\n"},
		"a long value":  {"a = \"very long\"\nb = 1 # one\n", "a = \"very long\"\nb = 1 # one\n"},
		"headers":       {"a=1\n# about b\n[ b . \"c d\" ]# c\n\n\nx=1\n[[list]]\n", "a = 1\n\n# about b\n[b.\"c d\"] # c\nx = 1\n\n[[list]]\n"},
		"CR LF":         {"a=1\r\n\r\n\r\n[b]\r\n", "a = 1\n\n[b]\n"},
		"no last line":  {"a=1 # one", "a = 1 # one\n"},
		"dotted":        {"a . b='x'\n'a b'.c=1\n", "a.b     = 'x'\n'a b'.c = 1\n"},
		"list":          {"a=[ 1,2 ,3, ]\nb=[ ]\nc=[[1],[ ]]\n", "a = [1, 2, 3]\nb = []\nc = [[1], []]\n"},
		"rows of list":  {"a=[1,2, # two\n\n\n\n  3 # three\n  , # after it\n\n]# end\n", "a = [\n  1, 2, # two\n\n  3, # three\n  # after it\n] # end\n"},
		"nested list":   {"a=[[1,\n2],{b=[\n3]}]\n", "a = [\n  [\n    1,\n    2,\n  ], { b = [\n      3,\n    ] },\n]\n"},
		"inline table":  {"a={b=1,'c'.d = \"x\"}\ne={}\n", "a = { b = 1, 'c'.d = \"x\" }\ne = {}\n"},
		"rows in table": {"a={ # one\nb=1\n}\n", "a = {\n  # one\n  b = 1,\n}\n"}, // as in TOML 1.1
		"strings":       {"a=\"# no = comment\\\" [\"\nb='''\n x \n'''#c\nc=\"\"\"a\\\"\"\"\"\"\nd='\\'\n", "a = \"# no = comment\\\" [\"\nb = '''\n x \n''' #c\nc = \"\"\"a\\\"\"\"\"\"\nd = '\\'\n"},
		"dates":         {"a=1979-05-27 07:32:32 # when\nb=07:32:00\n", "a = 1979-05-27 07:32:32 # when\nb = 07:32:00\n"},
		"unknown words": {"[from.admin]\nCID_X=\"limit 50/s per peer, else drop\"\n", "[from.admin]\nCID_X = \"limit 50/s per peer, else drop\"\n"},
		"not ASCII":     {"'ä'=1\nbb=2#ü\n", "'ä' = 1\nbb  = 2 #ü\n"},
	} {
		got, err := Format(c.text)
		if err != nil || got != c.want {
			t.Errorf("%s: got\n%s%v, want\n%s", name, got, err, c.want)
			continue
		}
		if again, err := Format(got); err != nil || again != got {
			t.Errorf("%s: formatted again it is\n%s%v, want\n%s", name, again, err, got)
		}
	}
}

// What is not TOML is refused with its line.
func TestFormatOfNoTOML(t *testing.T) {
	for text, want := range map[string]string{"a = 1\nb = \n": "line 2", "[a\n": "line 1", "a = \"x\n": "line 1", "a=1\na=2\n": "twice", "x = [1\n": "line"} {
		if got, err := Format(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q, %v, want an error with %s", text, got, err, want)
		}
	}
}

// tables returns the TOML files of this repository that are routing tables or cases.
func tables(t testing.TB) (all []string) {
	for _, pattern := range []string{"../../plugins/*/*.toml", "../../plugins/scaffold/files/*/*.toml", "../../plugins/sdk/conformance/examples/*.toml", "../../config.toml"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, names...)
	}
	if len(all) < 8 {
		t.Fatalf("found %d files", len(all))
	}
	return all
}

// The files of this repository can be formatted, and then stay as they are.
func TestFormatOfFiles(t *testing.T) {
	for _, name := range tables(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		once, err := Format(string(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.Contains(name, "scaffold") && !strings.HasSuffix(name, "Cargo.toml") && once != string(text) {
			t.Errorf("%s: a new policy's file is not formatted; run 'switchyard policy fmt' on it", name)
		}
		if twice, err := Format(once); err != nil || twice != once {
			t.Errorf("%s: formatted again it differs: %v", name, err)
		}
	}
}

// Whatever the decoder accepts is formatted without a change of its meaning, or is refused; and what
// is formatted is not changed again. Format itself compares the meaning and the comments.
func FuzzFormat(f *testing.F) {
	for _, name := range tables(f) {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("a=[1,{b='''\n''',\"c d\".e=[]}]#x\n\n\n[[a.'b']]\n")
	f.Fuzz(func(t *testing.T, text string) {
		once, err := Format(text)
		if err != nil {
			if strings.Contains(err.Error(), "without a change") && !strings.Contains(text, "nan") {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if twice, err := Format(once); err != nil || twice != once {
			t.Errorf("%q becomes %q, and then %q, %v", text, once, twice, err)
		}
	})
}
