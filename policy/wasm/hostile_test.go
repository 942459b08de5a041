package wasm

import (
	"strings"
	"testing"
	"time"

	"switchyard/policy"
	"switchyard/policy/wasm/meter"
)

// bound is how long one call of a hostile guest may take, also interpreted, under the race
// detector and on a busy machine. It usually takes less than a millisecond.
const bound = time.Minute

// hostile are guests that pass all gates and misbehave when they inspect.
var hostile = []struct {
	name  string
	byIDs policy.Verdict
	kind  policy.FaultKind
	say   string
}{
	{"endless_loop", header, policy.FaultFuel, "ran longer than its fuel"},
	{"exponential", header, policy.FaultFuel, ".fib(i64)"},
	{"fill_loop", header, policy.FaultFuel, "ran longer than its fuel"},
	{"log_flood", header, policy.FaultFuel, "out of fuel"},
	{"write_bomb", header, policy.FaultFuel, "fuel"},
	{"random_bomb", header, policy.FaultFuel, "fuel"},
	{"endless_recursion", header, policy.FaultDepth, "deeper than 1000"},
	{"many_locals", header, policy.FaultDepth, ".hog()"},
	{"trap", header, policy.FaultTrap, ".the_guilty_one()"},
	{"out_of_bounds", header, policy.FaultTrap, "out of bounds memory access"},
	{"exit", header, policy.FaultTrap, "proc_exit(3)"},
	{"log_pointer", header, policy.FaultTrap, "outside its memory"},
	{"reserved_bits_late", header, policy.FaultABI, "reserved bits"},
	{"asks_again", header, policy.FaultABI, "asks for an inspection"},
	{"bad_pointer_late", body, policy.FaultABI, "buffer(20) returned 0xfffffff0"},
	{"no_room", body, policy.FaultBody, "no room for a body of 20 bytes"},
	{"trap", body, policy.FaultABI, "asks for inspect_body, which the guest does not export"},
}

func TestSmallBodyOfAGuestThatRefusesLargeOnes(t *testing.T) {
	p := load(t, newEngine(t, DefaultLimits(), nil), "no_room")
	got, err := p.Inspect(body, question([]byte{4, 1, 1, 1}))
	if err != nil || got != 4 {
		t.Errorf("got %v, %v, want broadcast-except-sender", got, err)
	}
}

func TestDecisionsHaveLessFuelThanLoading(t *testing.T) {
	p := load(t, newEngine(t, DefaultLimits(), nil), "trap")
	for _, which := range []string{"first", "second"} {
		s, err := p.claim(0)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.in.module.ExportedGlobal(meter.BudgetExport).Get(); got != DefaultLimits().Fuel {
			t.Errorf("the %s instance has %d units of fuel per decision, want %d", which, got, DefaultLimits().Fuel)
		}
		s.release(nil)
		if _, err := p.Inspect(header, question(nil)); err == nil {
			t.Fatal("no fault")
		}
	}
}

func TestMemoryGrowsToItsLimitOnly(t *testing.T) {
	one, err := load(t, newEngine(t, DefaultLimits(), nil), "grow").Reserve(0)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Release()
	for _, want := range []uint64{101, 201, 201, 201} { // one page to begin with, 256 at most
		got, err := one.Inspect(header, question(nil))
		if err != nil || got != toSession(want) {
			t.Fatalf("got %v, %v, want %d pages", got, err, want)
		}
	}
}

func TestSleepingGuestReturnsAtOnce(t *testing.T) {
	p := load(t, newEngine(t, DefaultLimits(), nil), "sleep")
	began := time.Now()
	got, err := p.Inspect(header, question(nil))
	if err != nil || got != toSession(2) {
		t.Errorf("got %v, %v, want two events", got, err)
	}
	if took := time.Since(began); took > bound {
		t.Errorf("took %v", took)
	}
}

// A trace has the guest's functions and nothing of how it is metered.
func TestTraceIsTheGuests(t *testing.T) {
	e := newEngine(t, DefaultLimits(), nil)
	for name, want := range map[string]string{
		"trap":         "policy fault (trap): wasm error: unreachable\nwasm stack trace:\n\t.the_guilty_one() i64\n\t.inspect(i64,i64,i64,i64) i64",
		"endless_loop": "policy fault (fuel): ran longer than its fuel: wasm stack trace:\n\t.inspect(i64,i64,i64,i64) i64",
	} {
		_, err := load(t, e, name).Inspect(header, question(nil))
		if err == nil || err.Error() != want {
			t.Errorf("%s: got\n%v\nwant\n%s", name, err, want)
		}
	}
}

// TestFaultsOfOneLeaveOthersAlone lets one policy trap without end beside a
// sound one in the same engine.
func TestFaultsOfOneLeaveOthersAlone(t *testing.T) {
	e := newEngine(t, DefaultLimits(), nil)
	sound, bad := load(t, e, "sound"), load(t, e, "endless_loop")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = bad.Inspect(header, question(nil))
			}
		}
	}()
	for range 200 {
		if got, err := sound.Inspect(header, question(nil)); err != nil || got != toSession(77) {
			t.Errorf("got %v, %v", got, err)
		}
	}
	close(stop)
	<-stopped
}

func TestLogOfAFloodIsCutAndLimited(t *testing.T) {
	var log recordedLog
	p := load(t, newEngine(t, DefaultLimits(), log.log), "log_flood")
	began := time.Now()
	p.lines.now = func() time.Time { return began } // nothing is added to the bucket
	_, _ = p.Inspect(header, question(nil))
	lines := log.logged()
	if len(lines) != linesAtOnce {
		t.Errorf("got %d lines, want %d", len(lines), linesAtOnce)
	}
	if want := `log_flood 2 to be or not to be\u001b[31m\n`; !strings.HasPrefix(lines[0], want) {
		t.Errorf("got %q, want it to begin with %q", lines[0], want)
	}
}
