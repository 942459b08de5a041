//go:build linux && full

package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy/table"
)

// reloads is the number of TestReloadsOfAServer. A hundred take half a minute.
var reloads = flag.Int("reloads", 100, "how often TestReloadsOfAServer reloads")

// differentModules returns 50 modules that pass all gates: half of them are tables, which
// classify by ids, the others guests of the tests, of which many fail when they inspect.
func differentModules(t *testing.T) (modules [][]byte) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	for range 25 {
		text := "[route]\nelse = \"broadcast-except-sender\"\n"
		for _, c := range pdu.Commands {
			if random.IntN(2) == 0 {
				text += fmt.Sprintf("0x%04x = %q\n", uint16(c.ID), []string{"consume", "drop", "broadcast-all", "unicast session 1"}[random.IntN(4)])
			}
		}
		parsed, err := table.Parse("random", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		modules = append(modules, parsed.Module())
	}
	guests := []string{"endless_loop", "endless_recursion", "exponential", "fill_loop", "many_locals", "out_of_bounds",
		"random_bomb", "reserved_bits_late", "sleep", "sound", "table_grow", "trap", "write_bomb"}
	for i := 0; len(modules) < 50; i++ {
		name := guests[i%len(guests)]
		module, err := os.ReadFile(filepath.Join("..", "..", "policy", "wasm", "testdata", name+".wasm"))
		if err != nil {
			t.Fatal(err)
		}
		modules = append(modules, marked(module, i))
	}
	return modules
}

// marked returns the module with a custom section, which makes it another one.
func marked(module []byte, number int) []byte {
	section := fmt.Sprintf("\x04mark%08d", number)
	return slices.Concat(module, []byte{0, byte(len(section))}, []byte(section))
}

// usage is what a process uses at one moment.
type usage struct{ resident, goroutines, descriptors int64 }

func (u usage) String() string {
	return fmt.Sprintf("%.1f MiB resident, %d goroutines, %d descriptors", float64(u.resident)/mib, u.goroutines, u.descriptors)
}

func (p *process) usage(o *caller) (u usage) {
	p.t.Helper()
	u.resident = p.memory("VmRSS:")
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	u.descriptors = int64(len(open))
	_, rest, _ := strings.Cut(o.ask(200, "GET", "/metrics", "", "", nil), "\ngo_goroutines ")
	if _, err := fmt.Sscan(rest, &u.goroutines); err != nil {
		p.t.Fatalf("no goroutines in the metrics: %v", err)
	}
	return u
}

// A server that is given one of 50 different modules after the other, each time as one that it
// has not seen, and has it judge what a peer sends, uses no more at the end than after the
// first 50.
func TestReloadsOfAServer(t *testing.T) {
	modules := differentModules(t)
	dir, p, o := startOperated(t, everyone)
	save(t, dir, "policy.wasm", string(modules[0]))
	config, err := os.ReadFile(filepath.Join(dir, "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	save(t, dir, "config.toml", strings.Replace(string(config), "file:routes.toml", "file:policy.wasm", 1))
	var said []byte
	for _, c := range pdu.Commands {
		said = append(said, pdutest.Raw(c.ID, 1, []byte("\x08\x01\x10\x02"))...)
	}
	var first usage
	for i := range max(*reloads, 2*len(modules)) {
		save(t, dir, "policy.wasm", string(marked(modules[i%len(modules)], i)))
		o.ask(200, "POST", "/api/v1/reload", "", "", nil)
		p.judge(said)
		if i%len(modules) == len(modules)-1 {
			now := p.usage(o)
			if t.Logf("after %4d reloads: %v", i+1, now); first.resident == 0 {
				first = now
			}
		}
	}
	last := p.usage(o)
	if last.resident > first.resident+32*mib || last.goroutines > first.goroutines+10 || last.descriptors > first.descriptors+10 {
		t.Errorf("after %d reloads: %v; at the end: %v", len(modules), first, last)
	}
	if n := p.count(`"msg":"policy reloaded"`); n < max(*reloads, 2*len(modules)) {
		t.Errorf("%d policies took effect", n)
	}
}

// judge has the policy in force judge those PDUs of a new peer.
func (p *process) judge(pdus []byte) {
	p.t.Helper()
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(pdus); err != nil {
		p.t.Fatal(err)
	}
	conn.(*net.TCPConn).CloseWrite()
	if _, err := io.Copy(io.Discard, conn); err != nil { // which ends when all is handled
		p.t.Fatal(err)
	}
}
