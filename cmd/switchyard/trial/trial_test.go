package trial

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"switchyard/plugins/teamtalk"
	"switchyard/policy/wasm"
	"switchyard/policy/wasm/binary"
)

func TestMain(m *testing.M) {
	if IsChild(os.Args) {
		os.Exit(Child(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// module returns a module with the two exports that a policy needs, of which classify runs the
// code.
func module(code []byte) []byte {
	m := binary.AppendSection([]byte(binary.Preamble), binary.SectionType, []byte{2, binary.Func, 0, 0, binary.Func, 2, 0x7f, 0x7f, 1, 0x7e})
	m = binary.AppendSection(m, binary.SectionFunction, []byte{2, 0, 1})
	exports := []byte{2}
	for i, name := range []string{"switchyard_abi_v1", "classify"} {
		exports = append(binary.AppendSized(exports, []byte(name)), binary.KindFunction, byte(i))
	}
	m = binary.AppendSection(m, binary.SectionExport, exports)
	bodies := binary.AppendSized([]byte{2}, []byte{0, 0x0b})
	bodies = binary.AppendSized(bodies, append(append([]byte{0}, code...), 0x0b))
	return binary.AppendSection(m, binary.SectionCode, bodies)
}

// broadcast is code that returns the verdict broadcast-except-sender.
var broadcast = []byte{0x42, 4}

// manyBlocks is code of n blocks; compiling it takes time that grows with their square.
func manyBlocks(n int) []byte {
	block := []byte("\x02\x40\x41\x00\x0d\x00\x0b") // block (br_if 0 (i32.const 0)) end
	return append(bytes.Repeat(block, n), broadcast...)
}

func trialOf(module []byte) wasm.Trial {
	return wasm.Trial{Limits: wasm.DefaultLimits(), Name: "tenant-a", Module: module}
}

func TestTry(t *testing.T) {
	r := New()
	for name, c := range map[string]struct {
		module []byte
		gate   wasm.Gate // "" if it passes
	}{
		"sound":    {module(broadcast), ""},
		"shipped":  {teamtalk.Module, ""},
		"text":     {[]byte("(module)"), wasm.GateMagic},
		"trap":     {module([]byte{0}), wasm.GateDryRun},
		"no guest": {[]byte(binary.Preamble), wasm.GateExports},
	} {
		report, err := r.Try(t.Context(), trialOf(c.module))
		switch {
		case err != nil:
			t.Fatalf("%s: %v", name, err)
		case c.gate == "" && (report.Refusal != nil || report.Used <= 0):
			t.Errorf("%s: refused: %+v, used %v", name, report.Refusal, report.Used)
		case c.gate != "" && (report.Refusal == nil || report.Refusal.Gate != c.gate || report.Refusal.Remedy == ""):
			t.Errorf("%s: got %+v, want a refusal at the %s gate", name, report.Refusal, c.gate)
		}
	}
}

// A module that takes too long is refused, and the child ends although its compiler cannot be
// interrupted.
func TestTimeOfATrial(t *testing.T) {
	trial := trialOf(module(manyBlocks(4000)))
	trial.Limits.LoadTime = 200 * time.Millisecond // metering, under the race detector, takes some of it
	r := New()
	report, err := r.Try(t.Context(), trial)
	for err == nil && report.Refusal != nil && report.Refusal.Temporary { // the machine was too busy
		report, err = r.Try(t.Context(), trial)
	}
	if err != nil {
		t.Fatal(err)
	}
	if f := report.Refusal; f == nil || !f.Slow {
		t.Errorf("got %+v, want a refusal for time", report.Refusal)
	}
}

func TestTrialIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New().Try(ctx, trialOf(module(broadcast))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// A trial that waits for another one ends with its context.
func TestTrialsWait(t *testing.T) {
	r := New()
	r.lanes[0] <- struct{}{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := r.Try(ctx, trialOf(module(broadcast))); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	<-r.lanes[0]
	if report, err := r.Try(t.Context(), trialOf(module(broadcast))); err != nil || report.Refusal != nil {
		t.Errorf("got %+v, %v", report, err)
	}
}

// A child that gets no thread says nothing about the module.
func TestNoThread(t *testing.T) {
	for text, want := range map[string]bool{
		"runtime: failed to create new OS thread (have 6 already; errno=11)\n":                 true,
		"runtime/cgo: pthread_create failed: Resource temporarily unavailable\nSIGABRT: abort": true,
		"fatal error: runtime: out of memory\n":                                                false,
	} {
		if got := noThread(text); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestPostMortem(t *testing.T) {
	o := order{trialOf(nil), 512 << 20}
	for _, c := range []struct {
		used     time.Duration
		timedOut bool
		stderr   string
		want     string
	}{
		{31 * time.Second, false, "", "more than 30s"},
		{31 * time.Second, true, "", "more than 30s"},
		{3 * time.Second, true, "", "did not end within 5m0s, in which it got 3s"},
		{time.Second, false, "fatal error: runtime: out of memory\n", "more than 512 MiB"},
		{time.Second, false, "runtime/cgo: pthread_create failed: Resource temporarily unavailable\n", "more than 512 MiB"},
		{time.Second, false, "SIGSEGV: segmentation violation\nPC=0x1", "ended (signal: aborted): SIGSEGV: segmentation violation"},
		{time.Second, false, "", "ended (signal: aborted): without a word"},
	} {
		if got := postMortem(o, c.used, c.timedOut, "signal: aborted", c.stderr); !strings.Contains(got.Text, c.want) || got.Remedy == "" {
			t.Errorf("%v, %v, %q: got %+v; want %q", c.used, c.timedOut, c.stderr, got, c.want)
		}
	}
}

// A child that gets no memory for a guest does not know whether its own limit is the cause.
func TestOwnLimit(t *testing.T) {
	o := order{trialOf(nil), 512 << 20}
	noMemory := wasm.Refusal{Gate: wasm.GateEngines, Text: "map 16777216 bytes: cannot allocate memory", Remedy: "ulimit -v", Temporary: true}
	if got := ownLimit(o, 400<<20, &noMemory); !strings.Contains(got.Text, "more than 512 MiB") || got.Gate != wasm.GateEngines || got.Temporary {
		t.Errorf("with much memory: got %+v", got)
	}
	if got := ownLimit(o, 100<<20, &noMemory); got != &noMemory {
		t.Errorf("with little memory: got %+v", got)
	}
	starved := wasm.Starved(time.Second, 0)
	if got := ownLimit(o, 400<<20, starved); got != starved {
		t.Errorf("without time: got %+v", got)
	}
	if got := ownLimit(o, 400<<20, nil); got != nil {
		t.Errorf("sound: got %+v", got)
	}
}

// Of a child's output only the first bytes are kept, however much it writes.
func TestOutputOfATrial(t *testing.T) {
	out := limited{room: 8}
	for range 2 {
		if n, err := io.Copy(&out, strings.NewReader("12345")); n != 5 || err != nil {
			t.Errorf("copied %d bytes, %v; want 5", n, err)
		}
	}
	if got := out.String(); got != "12345123" {
		t.Errorf("kept %q, want the first 8 bytes", got)
	}
}
