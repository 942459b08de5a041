//go:build full || race

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.wasm")
	if err := os.WriteFile(text, []byte("no module"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string // in what is printed
	}{
		{"sound", []string{"../testdata/sound.wasm"}, 0, "PASS  inspect_body  asked for 1 commands"},
		{"sum", []string{"../testdata/sound.wasm"}, 0, "9 checks, 0 failed"},
		{"configured", []string{"../testdata/sound.wasm", "--config-json", `{"a": 1}`}, 0, "0 failed"},
		{"fails", []string{"../testdata/late_reserved_bits.wasm"}, 1, "FAIL  classify\n      classify(0x0000, 0x7777): policy fault (abi): verdict 0x0000000000100000 sets reserved bits"},
		{"not the example", []string{"../testdata/sound.wasm", "--example", "table"}, 1, "FAIL  table\n      classify(0x0000, CID_"},
		{"no marker", []string{"../testdata/no_marker.wasm"}, 1, "refused at the exports gate"},
		{"no module", []string{text}, 1, "refused at the magic gate"},
		{"no file", []string{"../testdata/missing.wasm"}, 65, "kit: bad input: open ../testdata/missing.wasm"},
		{"no example", []string{"../testdata/sound.wasm", "--example", "tabel"}, 65, "the examples are configured, limit, single, table"},
		{"no configuration", []string{"../testdata/sound.wasm", "--config-json", "missing.json"}, 65, "missing.json"},
		{"nothing", []string{}, 64, "kit: accepts 1 arg(s)"},
		{"flag", []string{"--exampel", "table", "../testdata/sound.wasm"}, 64, "unknown flag"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			if code := run(c.args, &out, &out); code != c.code {
				t.Errorf("got exit code %d, want %d", code, c.code)
			}
			if !strings.Contains(out.String(), c.want) {
				t.Errorf("got\n%s\nwant it to contain %q", out.String(), c.want)
			}
		})
	}
}
