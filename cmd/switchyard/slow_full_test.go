//go:build full

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"switchyard/policy/wasm/binary"
)

// slowToLoad returns a sound policy whose compilation takes seconds, as the time grows with the
// square of the n blocks of its largest function.
func slowToLoad(n int) []byte {
	m := binary.AppendSection([]byte(binary.Preamble), binary.SectionType, []byte{2, binary.Func, 0, 0, binary.Func, 2, binary.I32, binary.I32, 1, binary.I64})
	m = binary.AppendSection(m, binary.SectionFunction, []byte{2, 0, 1})
	exports := []byte{2}
	for i, name := range []string{"switchyard_abi_v1", "classify"} {
		exports = append(binary.AppendSized(exports, []byte(name)), binary.KindFunction, byte(i))
	}
	m = binary.AppendSection(m, binary.SectionExport, exports)
	block := []byte("\x02\x40\x41\x00\x0d\x00\x0b")                                 // block (br_if 0 (i32.const 0)) end
	classify := append(append([]byte{0}, bytes.Repeat(block, n)...), 0x42, 4, 0x0b) // i64.const 4: broadcast-except-sender
	return binary.AppendSection(m, binary.SectionCode, binary.AppendSized(binary.AppendSized([]byte{2}, []byte{0, 0x0b}), classify))
}

// Modules that compile for seconds, one after the other, delay neither the start of another tenant,
// nor a save for it.
func TestSlowModuleDelaysOnlyItsTenant(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	save := func(name string, content []byte) {
		t.Helper()
		replace(t, filepath.Join(dir, name), string(content))
	}
	sound, err := os.ReadFile("../../policy/wasm/testdata/sound.wasm")
	if err != nil {
		t.Fatal(err)
	}
	version := func(n byte) []byte { return append(bytes.Clone(sound), 0, 2, 1, 'a'+n) }
	config := "[reload]\ndebounce = \"10ms\"\n"
	slow := []string{"slow", "slow2", "slow3", "slow4"}
	for _, name := range append([]string{"a"}, slow...) {
		config += fmt.Sprintf("[[listener]]\naddress = \"127.0.0.1:0\"\ntenant = %q\n[tenant.%s]\npolicy = \"file:%s.wasm\"\n", name, name, name)
	}
	save("config.toml", []byte(config))
	save("a.wasm", version(0))
	for i, name := range slow {
		save(name+".wasm", slowToLoad(7500-i))
	}
	exe := executable(t)
	cmd := exec.Command(exe, "--config", "config.toml", "--set", "log.format=json")
	cmd.Dir = dir
	p := launch(t, cmd)
	p.expect(`"msg":"listening"`, `"tenant":"a"`)
	save("a.wasm", version(1))
	p.expect(`"msg":"policy reloaded"`, `"tenant":"a"`)
	if strings.Contains(p.log(), `"msg":"serving"`) {
		t.Error("the slow policies were loaded first")
	}
	for _, name := range slow {
		p.expect(`"msg":"listening"`, `"tenant":"`+name+`"`)
	}
	p.expect(`"msg":"serving"`)

	save("slow.wasm", slowToLoad(7501))
	from := p.logged()
	save("a.wasm", version(2))
	if got := p.expectFrom(from, `"msg":"policy reloaded"`); got["tenant"] != "a" {
		t.Errorf("the first policy that is reloaded is that of %v, want that of a", got["tenant"])
	}
	if got := p.expectFrom(from, `"msg":"policy reloaded"`, `"tenant":"slow"`); got != nil {
		t.Logf("the slow policy took %v", got["took"])
	}
}
