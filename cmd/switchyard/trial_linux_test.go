//go:build full || race

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"switchyard/policy/wasm/binary"
)

// manyBlocks returns a module with a function of n blocks; compiling it takes time that grows
// with their square, and cannot be interrupted.
func manyBlocks(n int) []byte {
	block := []byte("\x02\x40\x41\x00\x0d\x00\x0b") // block (br_if 0 (i32.const 0)) end
	code := append(append([]byte{0}, bytes.Repeat(block, n)...), 0x0b)
	m := binary.AppendSection([]byte(binary.Preamble), binary.SectionType, []byte{1, binary.Func, 0, 0})
	m = binary.AppendSection(m, binary.SectionFunction, []byte{1, 0})
	return binary.AppendSection(m, binary.SectionCode, []byte{1}, binary.AppendSized(nil, code))
}

// cpuTime returns the CPU time that the process and its ended children have used, in ticks of
// the kernel.
func (p *process) cpuTime(t *testing.T) (own, children int) {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	var ticks [4]int // user and system of the process, and of its children
	for i, field := range strings.Fields(after)[11:15] {
		if ticks[i], err = strconv.Atoi(field); err != nil {
			t.Fatal(err)
		}
	}
	return ticks[0] + ticks[1], ticks[2] + ticks[3]
}

// A module that does not compile in time is refused by its trial in a child process, and a
// sound one that is saved after it takes effect.
func TestSlowModuleIsRefusedInAChild(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	save := func(name string, content []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path+".new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	sound, err := os.ReadFile("../../policy/wasm/testdata/sound.wasm")
	if err != nil {
		t.Fatal(err)
	}
	save("p.wasm", sound)
	p := start(t, dir, "--policy", "file:p.wasm", "--set", "wasm.load_time=500ms")
	save("p.wasm", manyBlocks(8000))
	refused := p.expect("policy refused; keeping the one in force")
	// On a machine that is very busy, it may not even get that much CPU time.
	if text := refused.text(); !strings.Contains(text, "loading took more than 500ms of ") && !strings.Contains(text, "loading did not end within 5s") {
		t.Errorf("it is refused otherwise: %s", text)
	}
	if own, children := p.cpuTime(t); children < own {
		t.Errorf("the server used %v of CPU time and its children %v; want the compiler to run in a child", own, children)
	}
	save("p.wasm", append(bytes.Clone(sound), 0, 2, 1, 'a')) // a custom section makes it another one
	refusals := p.count("policy refused")
	eventually(t, func() bool {
		if n := p.count("policy refused"); n > refusals { // the machine was too busy for the sound one
			refusals = n
			p.signal(syscall.SIGHUP)
		}
		return p.count("policy reloaded") > 0
	}, p.log)
	if strings.Contains(p.log(), "without a trial") {
		t.Error("policies were loaded without a trial")
	}
}
