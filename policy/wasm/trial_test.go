package wasm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A fakeSandbox counts trials and answers with one result.
type fakeSandbox struct {
	tried  atomic.Int32
	report Report
	err    error
	during func()
	last   Trial
}

func (f *fakeSandbox) Try(_ context.Context, t Trial) (Report, error) {
	f.tried.Add(1)
	f.last = t
	if f.during != nil {
		f.during()
	}
	return f.report, f.err
}

// tryFirst makes an engine that tries with f, and collects its warnings and its guests' lines.
func tryFirst(t *testing.T, f *fakeSandbox) (e *Engine, warnings, lines *[]string) {
	warnings, lines = new([]string), new([]string)
	e = newEngine(t, DefaultLimits(), func(_ string, _ int, text string) { *lines = append(*lines, text) })
	e.TryFirst(f, func(err error) { *warnings = append(*warnings, err.Error()) })
	return e, warnings, lines
}

// What its trial refused is not loaded, and not tried again, whatever its name.
func TestTrialRefuses(t *testing.T) {
	f := &fakeSandbox{report: Report{Refusal: &Refusal{Gate: GateCompile, Text: "too hard", Remedy: "be simple"}, Lines: []Line{{1, "I am hard"}}}}
	e, _, lines := tryFirst(t, f)
	e.entered = func(Gate) { t.Error("it was loaded") }
	for _, name := range []string{"tenant-a", "tenant-a", "tenant-b"} {
		_, err := e.Load(t.Context(), name, guest(t, "sound"), nil)
		if want := fmt.Sprintf("policy %q refused at the compile gate: too hard; be simple", name); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if f.tried.Load() != 1 || !slices.Equal(*lines, []string{"I am hard"}) {
		t.Errorf("tried %d times, and the guest's lines are %q; want once, and its line", f.tried.Load(), *lines)
	}
	// Another configuration is another trial.
	e.Load(t.Context(), "tenant-a", guest(t, "sound"), []byte(`{"a": 1}`))
	if f.tried.Load() != 2 {
		t.Error("a refusal holds for another configuration")
	}
}

// A load that got too little CPU time gets twice the elapsed time when it is tried again.
func TestStarvedLoadsGetMoreTime(t *testing.T) {
	limit := DefaultLimits().LoadTime
	f := &fakeSandbox{report: Report{Refusal: Starved(time.Minute, 0)}}
	e, _, _ := tryFirst(t, f)
	for _, want := range []time.Duration{10 * limit, 20 * limit, 40 * limit} {
		var refused *GateError
		if _, err := e.Load(t.Context(), "tenant-a", guest(t, "sound"), nil); !errors.As(err, &refused) || !refused.Starved() {
			t.Fatalf("got %v, want a refusal for too little time", err)
		}
		if got := f.last.Longest(); got != want {
			t.Errorf("loading may last %v, want %v", got, want)
		}
	}
}

// What was refused here is remembered, too, but not what may be different next time.
func TestRefusalsAreRemembered(t *testing.T) {
	var entered int
	e := newEngine(t, DefaultLimits(), nil)
	e.entered = func(Gate) { entered++ }
	refuse := func(ctx context.Context) (gates int) {
		t.Helper()
		entered = 0
		if _, err := e.Load(ctx, "tenant-a", guest(t, "command"), nil); err == nil {
			t.Fatal("it was loaded")
		}
		return entered
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if n := refuse(cancelled); n > 1 {
		t.Errorf("a load that is given up meets %d gates", n)
	}
	if first, second := refuse(t.Context()), refuse(t.Context()); first < 2 || second != 0 {
		t.Errorf("the module met %d gates, and %d the second time; want some, and none", first, second)
	}
}

// What passed its trial is loaded here, within a time that its trial gives, and is tried once.
func TestTrialPasses(t *testing.T) {
	f := &fakeSandbox{report: Report{Used: time.Second}}
	e, _, _ := tryFirst(t, f)
	for range 2 {
		loadModule(t, e, "tenant-a", guest(t, "sound"), nil)
	}
	if n := f.tried.Load(); n != 1 {
		t.Errorf("tried %d times, want once", n)
	}
	f.report.Used = 0 // the next module may take a second here, and takes more
	e.clock = fakeClocks(always(2*time.Second), always(0))
	_, err := e.Load(t.Context(), "tenant-a", guest(t, "trap"), nil)
	wantGate(t, err, GateSize, "more than three times what its trial took")
}

func TestWithoutTrials(t *testing.T) {
	f := &fakeSandbox{err: fmt.Errorf("%w: no processes", ErrNoTrial)}
	e, warnings, _ := tryFirst(t, f)
	loadModule(t, e, "tenant-a", guest(t, "sound"), nil)
	loadModule(t, e, "tenant-a", guest(t, "exponential"), nil)
	if f.tried.Load() != 2 || len(*warnings) != 1 {
		t.Errorf("tried %d times, warnings %q; want two and one", f.tried.Load(), *warnings)
	}
}

// A trial that was given up says nothing about the module.
func TestTrialIsGivenUp(t *testing.T) {
	f := &fakeSandbox{err: context.Canceled}
	e, _, _ := tryFirst(t, f)
	_, err := e.Load(t.Context(), "tenant-a", guest(t, "sound"), nil)
	wantGate(t, err, GateSize, "given up")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it to wrap context.Canceled", err)
	}
	f.err, f.report = nil, Report{Used: time.Second}
	loadModule(t, e, "tenant-a", guest(t, "sound"), nil)
}

// Equal modules are tried once, even if they come at the same time.
func TestOneLoadAtATime(t *testing.T) {
	module := guest(t, "sound")
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSandbox{report: Report{Refusal: &Refusal{Gate: GateDryRun, Text: "no"}}, during: func() { time.Sleep(time.Second) }}
		e := &Engine{limits: DefaultLimits(), sandbox: f, log: func(string, int, string) {}}
		began := time.Now()
		var loads sync.WaitGroup
		for range 10 {
			loads.Go(func() {
				if _, err := e.Load(t.Context(), "tenant-a", module, nil); err == nil {
					t.Error("it was loaded")
				}
			})
		}
		loads.Wait()
		if n, took := f.tried.Load(), time.Since(began); n != 1 || took != time.Second {
			t.Errorf("tried %d times in %v, want once in a second", n, took)
		}
	})
}

// A module that this program made is not tried.
func TestOwnModulesAreNotTried(t *testing.T) {
	f := &fakeSandbox{err: errors.New("tried")}
	e, _, _ := tryFirst(t, f)
	p, err := e.LoadOwn(t.Context(), "tenant-a", guest(t, "sound"), nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
}

func TestTry(t *testing.T) {
	var gates []Gate
	r := Try(Trial{Limits: DefaultLimits(), Name: "tenant-a", Module: guest(t, "sound")}, func(g Gate) { gates = append(gates, g) })
	if r.Refusal != nil || r.Used <= 0 || gates[0] != GateSize || gates[len(gates)-1] != GateEngines {
		t.Errorf("got %+v, used %v, through %v", r.Refusal, r.Used, gates)
	}
	r = Try(Trial{Limits: DefaultLimits(), Name: "tenant-a", Module: guest(t, "configure_refuses")}, nil)
	if r.Refusal == nil || r.Refusal.Gate != GateConfigure || r.Refusal.Remedy == "" {
		t.Errorf("got %+v, want a refusal at the configure gate", r.Refusal)
	}
}

// Several instances may log at once during a trial. A report has the first lines.
func TestLinesOfATrial(t *testing.T) {
	var logged reportLines
	var logging sync.WaitGroup
	for range 4 {
		logging.Go(func() {
			for i := range maxLines {
				logged.add("", i, "")
			}
		})
	}
	logging.Wait()
	if len(logged.first) != maxLines || logged.first[0].Level != 0 {
		t.Errorf("%d lines, the first is %+v; want %d from the first on", len(logged.first), logged.first[:1], maxLines)
	}
}
