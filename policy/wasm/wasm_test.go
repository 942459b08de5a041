package wasm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm/meter"
)

// A recordedLog keeps the lines that guests log.
type recordedLog struct {
	mu    sync.Mutex
	lines []string
}

func (l *recordedLog) log(policy string, level int, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf("%s %d %s", policy, level, text))
}

func (l *recordedLog) logged() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines
}

func newEngine(t testing.TB, l Limits, log Logger) *Engine {
	t.Helper()
	e := NewEngine(l, log)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// guest returns the module testdata/name.wasm.
func guest(t testing.TB, name string) []byte {
	t.Helper()
	module, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// metered returns the module testdata/name.wasm as the engine compiles it.
func metered(t testing.TB, name string) []byte { return rewrite(t, guest(t, name)) }

// rewrite returns the module as it is compiled with the default limits.
func rewrite(t testing.TB, module []byte) []byte {
	t.Helper()
	l := DefaultLimits()
	m, err := meter.Rewrite(module, meter.Limits{Fuel: l.Fuel, LoadFuel: l.LoadFuel, Depth: l.Depth, Pages: l.MemoryPages})
	if err != nil {
		t.Fatal(err)
	}
	return m.Module
}

func load(t testing.TB, e *Engine, name string) *Policy {
	t.Helper()
	return loadModule(t, e, name, guest(t, name), nil)
}

// loadModule does not compare the engines, which takes most of the time of a load. Tests of the
// gates use Engine.Load.
func loadModule(t testing.TB, e *Engine, name string, module, config []byte) *Policy {
	t.Helper()
	e.agreed.add(sumOf(module, config))
	p, err := e.Load(context.Background(), name, module, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// question is about a PDU with the given body from session 77.
func question(body []byte) policy.Question {
	whole := pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 9, body)
	return policy.Question{Header: whole[:pdu.HeaderLen], Body: whole[pdu.HeaderLen:], Session: 77}
}

func toSession(n uint64) policy.Verdict {
	return policy.Verdict(n<<abi.ArgumentShift | abi.ToSession<<abi.SelectorShift | abi.Unicast)
}

const (
	header = policy.Verdict(abi.InspectHeader | abi.BroadcastExceptSender)
	body   = policy.Verdict(abi.InspectBodyOf | abi.BroadcastExceptSender)
)

// wantFault fails unless err is a fault of that kind and contains the text.
func wantFault(t *testing.T, err error, kind policy.FaultKind, text string) {
	t.Helper()
	var fault *policy.Fault
	switch {
	case !errors.As(err, &fault):
		t.Fatalf("got error %v, want a fault", err)
	case fault.Kind != kind:
		t.Fatalf("got fault %q, want %q: %v", fault.Kind, kind, err)
	case !strings.Contains(err.Error(), text):
		t.Fatalf("got %q, want it to say %q", err, text)
	}
}

func TestSoundGuest(t *testing.T) {
	e := newEngine(t, DefaultLimits(), nil)
	p := load(t, e, "sound")
	if !p.has(abi.Inspect) && !p.has(abi.InspectBody) {
		t.Error("a guest with inspect and inspect_body does not inspect")
	}
	for command, want := range map[pdu.CommandID]policy.Verdict{
		pdu.CID_MSG_DATA:        header,
		pdu.CID_SWITCH_P2P_CMD:  body,
		pdu.CID_MSG_READ_NOTIFY: header | body,
		0x7777:                  abi.BroadcastExceptSender,
	} {
		if got, err := p.Classify(pdu.SID_MSG, command); err != nil || got != want {
			t.Errorf("classify %v: got %v, %v, want %v", command, got, err, want)
		}
	}
	q := question([]byte{1, 2, 3, 250})
	for _, c := range []struct{ byIDs, want policy.Verdict }{
		{abi.Drop, abi.Drop}, // asks for nothing
		{header, toSession(77)},
		{body, toSession(256)},
		{header | body, toSession(256)}, // the body's inspection answers for both
	} {
		if got, err := p.Inspect(c.byIDs, q); err != nil || got != c.want {
			t.Errorf("inspect after %v: got %v, %v, want %v", c.byIDs, got, err, c.want)
		}
	}
	for _, n := range []int{0, 1, DefaultLimits().BodyBytes} {
		if got, err := p.Inspect(body, question(make([]byte, n))); err != nil || got != toSession(0) {
			t.Errorf("inspect %d zero bytes: got %v, %v", n, got, err)
		}
	}
}

func TestBodyLargerThanTheLimit(t *testing.T) {
	p := load(t, newEngine(t, DefaultLimits(), nil), "sound")
	before := instances(p)
	_, err := p.Inspect(body, question(make([]byte, DefaultLimits().BodyBytes+1)))
	wantFault(t, err, policy.FaultBody, "65537 bytes, at most 65536")
	if fault, ok := errors.AsType[*policy.Fault](err); !ok || !fault.ByLimit {
		t.Errorf("%+v, want one by the limit", err)
	}
	if got, err := p.Inspect(header|body, question(make([]byte, DefaultLimits().BodyBytes+1))); err != nil || got != toSession(77) {
		t.Errorf("the inspection of the header: %v, %v, want %v", got, err, toSession(77))
	}
	if got := instances(p); got != before {
		t.Errorf("a body that was never copied cost an instance: %d, had %d", got, before)
	}
}

// instances counts the slots that hold one.
func instances(p *Policy) (n int) {
	for i := range p.slots {
		if p.slots[i].state.Load() != empty {
			n++
		}
	}
	return n
}

func TestHeaderIsHandedOverAsBigEndianWords(t *testing.T) {
	in := &instance{}
	in.pushQuestion(2, &policy.Question{
		Header:  []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		Session: 16, Attributes: abi.AttributeMaster,
	})
	want := [6]uint64{0, 0, 0x0001020304050607, 0x08090a0b0c0d0e0f, 16, 1}
	if in.stack != want {
		t.Errorf("got %#x, want %#x", in.stack, want)
	}
}

func TestNoAllocationPerCall(t *testing.T) {
	p := load(t, newEngine(t, DefaultLimits(), nil), "sound")
	q := question(make([]byte, 256))
	for name, call := range map[string]func() (policy.Verdict, error){
		"Classify":       func() (policy.Verdict, error) { return p.Classify(pdu.SID_MSG, pdu.CID_MSG_DATA) },
		"Inspect header": func() (policy.Verdict, error) { return p.Inspect(header, q) },
		"Inspect body":   func() (policy.Verdict, error) { return p.Inspect(body, q) },
	} {
		allocs := testing.AllocsPerRun(1000, func() {
			if _, err := call(); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations, want 0", name, allocs)
		}
	}
}

// TestManyAsk is for the race detector: more goroutines than slots, with and
// without faults.
func TestManyAsk(t *testing.T) {
	e := newEngine(t, DefaultLimits(), nil)
	sound, trap := load(t, e, "sound"), load(t, e, "trap")
	var wg sync.WaitGroup
	for i := range 4 * len(sound.slots) {
		wg.Go(func() {
			q := question([]byte{byte(i)})
			q.Session = uint64(i)
			for range 200 {
				if got, err := sound.Inspect(header, q); err != nil || got != toSession(uint64(i)) {
					t.Errorf("inspect header: got %v, %v, want session %d", got, err, i)
				}
				if got, err := sound.Inspect(body, q); err != nil || got != toSession(uint64(i)) {
					t.Errorf("inspect body: got %v, %v, want session %d", got, err, i)
				}
			}
			for range 10 {
				if _, err := trap.Inspect(header, q); err == nil {
					t.Error("a trap went unnoticed")
				}
			}
		})
	}
	wg.Wait()
	for _, p := range []*Policy{sound, trap} {
		if n := instances(p); n > len(p.slots) {
			t.Errorf("%d instances in %d slots", n, len(p.slots))
		}
		for i := range p.slots {
			if p.slots[i].state.Load() == busy {
				t.Errorf("slot %d was never given back", i)
			}
		}
	}
}

func TestSlotsAreFilledOnlyWhenNeeded(t *testing.T) {
	p := load(t, newEngine(t, DefaultLimits(), nil), "sound")
	for i := range uint64(100) {
		q := question(nil)
		q.Session = i
		if _, err := p.Inspect(header, q); err != nil {
			t.Fatal(err)
		}
	}
	if got := instances(p); got != 1 {
		t.Errorf("one goroutine after another: got %d instances, want 1", got)
	}
	var held []*slot
	for range p.slots {
		s, err := p.claim(0)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, s)
	}
	if got := instances(p); got != len(p.slots) {
		t.Errorf("all slots claimed: got %d instances, want %d", got, len(p.slots))
	}
	done := make(chan error)
	go func() { _, err := p.Classify(0, 0); done <- err }()
	runtime.Gosched()
	held[0].release(nil)
	if err := <-done; err != nil {
		t.Errorf("waiting for a slot: %v", err)
	}
	for _, s := range held[1:] {
		s.release(nil)
	}
}

func TestKind(t *testing.T) {
	kind, why := newEngine(t, DefaultLimits(), nil).Kind()
	if kind != Compiler && kind != Interpreter || why == "" {
		t.Errorf("got kind %q because %q", kind, why)
	}
	compiles := runtime.GOOS == "linux" && (runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64")
	if compiles && kind != Compiler && !strings.Contains(why, "executable memory") {
		t.Errorf("%s/%s has a compiler, but got %q because %q", runtime.GOOS, runtime.GOARCH, kind, why)
	}
}

// A reserved instance measures the fuel of its last call.
func TestReservedFuel(t *testing.T) {
	e := newEngine(t, DefaultLimits(), nil)
	for name, all := range map[string]bool{"sound": false, "endless_loop": true} {
		p := load(t, e, name)
		r, err := p.Reserve(5)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Inspect(header, question(nil))
		if got := r.(policy.FuelMeter).Fuel(); got == 0 || (got == DefaultLimits().Fuel) != all || (err != nil) != all {
			t.Errorf("%s: %d units of fuel, %v", name, got, err)
		}
		r.Release()
	}
}

// After a fault, the holder of a slot gets a fresh instance. Release gives back the slot,
// with the instance if there is one.
func TestReserve(t *testing.T) {
	p := load(t, newEngine(t, DefaultLimits(), nil), "trap")
	r, err := p.Reserve(5)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, err := r.Inspect(header, question(nil))
		wantFault(t, err, policy.FaultTrap, "the_guilty_one")
	}
	if v, err := r.Inspect(abi.Consume, question(nil)); v != abi.Consume || err != nil {
		t.Errorf("what needs no inspection: %v, %v", v, err)
	}
	r.Release()
	if got := instances(p); got != 0 {
		t.Errorf("%d instances, want none, as the last one trapped", got)
	}
	sound := load(t, newEngine(t, DefaultLimits(), nil), "sound")
	r, err = sound.Reserve(5)
	if err != nil {
		t.Fatal(err)
	}
	kept := instances(sound)
	for range 100 {
		if v, err := r.Inspect(header, question(nil)); v != toSession(77) || err != nil {
			t.Errorf("%v, %v", v, err)
		}
	}
	if got := instances(sound); got != kept {
		t.Errorf("%d instances for one who reserved, want %d", got, kept)
	}
	q := question(nil)
	if n := testing.AllocsPerRun(100, func() { r.Inspect(header, q) }); n != 0 {
		t.Errorf("%v allocations for each, want 0", n)
	}
	r.Release()
	for i := range sound.slots {
		if sound.slots[i].state.Load() == busy {
			t.Errorf("slot %d was never given back", i)
		}
	}
}
