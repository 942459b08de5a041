package tomlpos

import (
	"errors"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestMarks(t *testing.T) {
	for line, want := range map[string]string{
		`a.b = [1, {c = 2}] # [[[`: `a.b = [1, {c = 2}] `,
		`a = "[#]" # "`:            `a =  `,
		`a = '[\' = "\"]"`:         `a =  = `,
		`a = "unended [`:           `a = `,
		`a = """[`:                 `a = "`,
		`"k" = '''`:                ` = '`,
		"":                         "",
	} {
		if got := string(Marks([]byte(line))); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestWhereThingsStand(t *testing.T) {
	text := []byte("a = 1\n\n[b]\nc = '''\nx'''\nd = 2\n")
	var root map[string]toml.Primitive
	meta, err := Decode(text, &root)
	if err != nil {
		t.Fatal(err)
	}
	var b map[string]toml.Primitive
	if err := meta.PrimitiveDecode(root["b"], &b); err != nil {
		t.Fatal(err)
	}
	if a, d := Of(text, &meta, root["a"]), Of(text, &meta, b["d"]); a != 1 || d != 6 {
		t.Errorf("a on line %d, d on line %d; want 1 and 6", a, d)
	}
	values, err := Values(&meta, root)
	if err != nil || values["a"] != int64(1) || len(values) != 2 {
		t.Errorf("%v, %v", values, err)
	}
	_, err = Decode([]byte("a = 1\nb = \n"), &root)
	syntax, ok := errors.AsType[toml.ParseError](err)
	if !ok || At([]byte("a = 1\nb = \n"), syntax.Position) != 2 {
		t.Errorf("%v, want an error on line 2", err)
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
