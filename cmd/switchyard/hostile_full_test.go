//go:build linux && full

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"switchyard/cmd/switchyard/trial"
	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm"
	"switchyard/policy/wasm/binary"
)

// hostileModules are guests of the tests, by name, and modules that are made here: each a way in
// which a policy may take much time or memory.
var hostileModules = []struct {
	name string
	make func() []byte // nil: a guest
}{
	{"sound", nil}, // to compare with
	{"endless_loop", nil}, {"endless_recursion", nil}, {"exponential", nil}, {"trap", nil},
	{"chase", nil}, {"scatter", nil}, {"fill_loop", nil}, {"write_bomb", nil}, {"random_bomb", nil}, {"log_flood", nil},
	{"slow_start", nil}, {"chase_start", nil}, {"memory_bomb", nil}, {"table_bomb", nil},
	// Just within what a module may declare:
	{"8,000 blocks", func() []byte { return bulky(0, code(bytes.Repeat([]byte("\x02\x40\x41\x00\x0d\x00\x0b"), 8_000))) }},
	{"br_table of 16,000", func() []byte { return bulky(0, code(branchTable(16_000))) }},
	{"90,000 functions", func() []byte {
		return bulky(0, slices.Repeat([][]byte{code(bytes.Repeat([]byte("\x41\x01\x1a"), 20))}, 90_000)...)
	}},
	{"9,900 globals", func() []byte { return bulky(9_900) }},
	// Beyond it:
	{"br_table of 250,000", func() []byte { return bulky(0, code(branchTable(250_000))) }},
	{"1.5 M globals", func() []byte { return bulky(1_500_000) }},
}

// bulky returns a module that drops everything, with so many globals and further functions.
func bulky(globals int, bodies ...[]byte) []byte {
	functions := slices.Repeat([][]byte{{0}}, 2+len(bodies))
	functions[1] = []byte{1}
	export := func(name string, f byte) []byte { return append(binary.AppendSized(nil, []byte(name)), 0, f) }
	m := binary.AppendSection([]byte(binary.Preamble), binary.SectionType, binary.AppendVector(nil, []byte{binary.Func, 0, 0}, []byte{binary.Func, 2, binary.I32, binary.I32, 1, binary.I64}))
	m = binary.AppendSection(m, binary.SectionFunction, binary.AppendVector(nil, functions...))
	if globals > 0 {
		m = binary.AppendSection(m, binary.SectionGlobal, binary.AppendVector(nil, slices.Repeat([][]byte{[]byte("\x7f\x01\x41\x00\x0b")}, globals)...))
	}
	m = binary.AppendSection(m, binary.SectionExport, binary.AppendVector(nil, export(abi.Marker, 0), export(abi.Classify, 1)))
	return binary.AppendSection(m, binary.SectionCode, binary.AppendVector(nil, append([][]byte{code(nil), code([]byte{0x42, 0})}, bodies...)...))
}

// code returns the body of a function without locals.
func code(instructions []byte) []byte {
	return binary.AppendSized(nil, append(append([]byte{0}, instructions...), 0x0b))
}

// branchTable returns a br_table with so many labels.
func branchTable(labels int) []byte {
	b := binary.AppendU([]byte("\x02\x40\x41\x00\x0e"), uint64(labels))
	return append(append(b, make([]byte, labels+1)...), 0x0b)
}

// BenchmarkHostileModules measures what a policy can do to others: the CPU time of its longest
// decision and of making an instance, the CPU time and memory of the process in which it is
// loaded for trial, and a neighbour's p99 while nothing happens, and while the module is saved
// twice a second and asked about 2,000 PDUs a second. docs/security.md has its table.
func BenchmarkHostileModules(b *testing.B) {
	for _, m := range hostileModules {
		b.Run(m.name, func(b *testing.B) {
			module := moduleOf(b, m.name, m.make)
			loaded := measureTrial(b, module)
			b.ReportMetric(float64(loaded.Used.Microseconds())/1e3, "load-ms")
			b.ReportMetric(float64(loaded.Memory)/mib, "load-MiB")
			if refusal := loaded.Refusal; refusal != nil {
				b.Logf("refused at the %s gate: %s", refusal.Gate, refusal.Text)
			} else {
				instance, decision := longestCall(b, module)
				b.ReportMetric(float64(instance.Microseconds())/1e3, "instance-ms")
				b.ReportMetric(float64(decision.Microseconds())/1e3, "decision-ms")
			}
			quiet, hostile := beside(b, module)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(quiet.Microseconds())/1e3, "quiet-p99-ms")
			b.ReportMetric(float64(hostile.Microseconds())/1e3, "hostile-p99-ms")
		})
	}
}

func moduleOf(b *testing.B, name string, make func() []byte) []byte {
	b.Helper()
	if make != nil {
		return make()
	}
	module, err := os.ReadFile(filepath.Join("..", "..", "policy", "wasm", "testdata", name+".wasm"))
	if err != nil {
		b.Fatal(err)
	}
	return module
}

// A trialResult is what loading a module for trial took.
type trialResult struct {
	wasm.Report
	Memory int64 // bytes, at most
}

// asTrial makes the test's program try the module in that file, and print the report.
const asTrial = "SWITCHYARD_TEST_AS_TRIAL"

func init() { // before TestMain, which is for the quick tests too
	file := os.Getenv(asTrial)
	if file == "" {
		return
	}
	module, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	report, err := trial.New().Try(context.Background(), wasm.Trial{Limits: wasm.DefaultLimits(), Name: "hostile", Module: module})
	if err != nil {
		panic(err)
	}
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_CHILDREN, &used)
	json.NewEncoder(os.Stdout).Encode(trialResult{report, used.Maxrss * kib})
	os.Exit(0)
}

// measureTrial tries the module in a process of its own, because the system tells the memory
// only of all children of a process together.
func measureTrial(b *testing.B, module []byte) (r trialResult) {
	b.Helper()
	file := filepath.Join(b.TempDir(), "policy.wasm")
	write(b, file, string(module))
	exe := executable(b)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), asTrial+"="+file)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &r)
	}
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// longestCall returns the most CPU time that making an instance and a decision took, of a few.
func longestCall(b *testing.B, module []byte) (instance, decision time.Duration) {
	b.Helper()
	e := wasm.NewEngine(wasm.DefaultLimits(), func(string, int, string) {})
	defer e.Close()
	p, err := e.Load(b.Context(), "hostile", module, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	runtime.LockOSThread() // whose time is measured
	defer runtime.UnlockOSThread()
	said := pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, 200))
	q := policy.Question{Header: said[:pdu.HeaderLen], Body: said[pdu.HeaderLen:], Session: 1}
	for range 10 {
		var took time.Duration
		instance = max(instance, threadTime(func() {
			r, err := p.Reserve(1)
			if err != nil {
				b.Fatal(err)
			}
			took = threadTime(func() { r.Inspect(abi.BroadcastExceptSender|abi.InspectHeader, q) })
			r.Release()
		})-took)
		decision = max(decision, took)
	}
	return instance, decision
}

// threadTime returns the CPU time of this thread that f takes.
func threadTime(f func()) time.Duration {
	var before, after unix.Timespec
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &before)
	f()
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &after)
	return time.Duration(after.Nano() - before.Nano())
}

// beside returns a neighbour's p99, the median of a few seconds each, while nothing happens and
// while the module is saved and asked.
func beside(b *testing.B, module []byte) (quiet, hostile time.Duration) {
	b.Helper()
	const rounds, each = 5, time.Second
	file := filepath.Join(b.TempDir(), "policy.wasm")
	write(b, file, string(moduleOf(b, "sound", nil)))
	p, attacker := abuse{policy: file, attack: "talk"}.start(b)
	v := watchVictim(b, p)
	v.measure(each) // warms up
	var before, during []time.Duration
	for round := range rounds {
		before = append(before, percentile(v.measure(each), 99))
		attacker.on(b)
		stop := make(chan struct{})
		var saving sync.WaitGroup
		saving.Go(func() {
			for n := 0; ; n++ {
				save(b, filepath.Dir(file), "policy.wasm", string(marked(module, 10*round+n)))
				select {
				case <-stop:
					return
				case <-time.After(each / 2):
				}
			}
		})
		during = append(during, percentile(v.measure(each), 99))
		close(stop)
		saving.Wait()
		attacker.off(b)
		v.measure(each / 4)
	}
	v.end(b)
	return percentile(before, 50), percentile(during, 50)
}
