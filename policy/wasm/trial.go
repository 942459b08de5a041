package wasm

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Fuel bounds what a guest does, but nothing bounds wazero's compiler: a module of a few
// megabytes can keep it busy for minutes and make it allocate gigabytes. So a module from
// outside is first loaded in a separate process. The life of a trial:
//
//	Engine.Load                          child process
//	  remembered as refused? ─▶ refused
//	  Sandbox.Try ──── Trial ──────────▶ Try: all gates, with the limits of the server
//	                                       entered(gate) at each gate, so that the parent
//	                                       knows where a child that died had come to
//	  Report ◀───────────────────────────  Used, Refusal, Lines
//	  refused?  ─▶ remember it, pass on the guest's lines
//	  passed    ─▶ wait for a lane, then load it here within compileRoom(Used)
//
// The module is then loaded a second time, in this process, as compiled code cannot be handed
// from one process to another.

// A Sandbox loads a module where it can do no harm, before an engine loads it here. Its
// implementation runs Try in another process, with limits of memory and time.
type Sandbox interface {
	// Try takes a module through all gates. The error is ErrNoTrial, or that of a context
	// that ended; what is wrong with the module is in the Report.
	Try(ctx context.Context, t Trial) (Report, error)
}

// ErrNoTrial is the error of a Sandbox that cannot run a trial now. The module is then loaded
// without a trial.
var ErrNoTrial = errors.New("policies cannot be tried in another process")

// A Trial is everything on which the result of a load depends.
type Trial struct {
	Limits Limits
	Name   string // of the policy
	Module []byte
	Config []byte // JSON, or nil

	// Starved is how many loads of the module were given up because this machine had too
	// little CPU time.
	Starved int
}

// Longest returns the elapsed time after which loading is given up. Each load gets twice the time
// of the one before that was starved: with a LoadTime of 30 s it is 5 minutes, then 10, then 20,
// and from the eleventh on 85 hours.
func (t Trial) Longest() time.Duration { return ceiling * t.Limits.LoadTime << min(t.Starved, 10) }

// A Report is what a trial found out.
type Report struct {
	Used    time.Duration // that loading took: CPU time where the system can measure it
	Refusal *Refusal      // nil if the module passed all gates
	Lines   []Line        // that the guest logged
}

// maxLines is how many lines a report has at most.
const maxLines = 100

// A Refusal is a GateError that can be passed between processes.
type Refusal struct {
	Gate         Gate
	Text, Remedy string
	Temporary    bool // the same module may pass when it is loaded again
	Slow         bool // it may pass if it has more time
}

// A Line is a line that a guest logged.
type Line struct {
	Level int
	Text  string
}

// Try takes the module through all gates in this process. It calls entered, if that is not
// nil, with each gate before the module meets it.
func Try(t Trial, entered func(Gate)) Report {
	var logged reportLines
	e := NewEngine(t.Limits, logged.add)
	e.entered = entered
	defer e.Close()
	p, used, err := e.load(context.Background(), t, t.Limits.LoadTime)
	r := Report{Used: used}
	if err != nil {
		r.Refusal = refusalOf(err)
	} else {
		_ = p.Close()
	}
	r.Lines = logged.first
	return r
}

// reportLines keeps the first maxLines lines that a guest logs. The goroutine that makes instances
// logs as well as the one that loads.
type reportLines struct {
	mu    sync.Mutex // guards first
	first []Line
}

func (r *reportLines) add(_ string, level int, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.first) < maxLines {
		r.first = append(r.first, Line{level, text})
	}
}

// refusalOf returns the refusal in an error of a gate. Any other error has no gate and no remedy.
func refusalOf(err error) *Refusal {
	e, ok := errors.AsType[*GateError](err)
	if !ok {
		e = &GateError{Err: err}
	}
	return &Refusal{Gate: e.Gate, Text: e.Err.Error(), Remedy: e.Remedy, Temporary: e.temporary, Slow: e.slow}
}

// gateError returns the refusal as the error of the policy with that name.
func (r *Refusal) gateError(name string) *GateError {
	return &GateError{Gate: r.Gate, Policy: name, Err: errors.New(r.Text), Remedy: r.Remedy, temporary: r.Temporary, slow: r.Slow}
}

// compileRoom returns how much time loading a module may take here that took so much in its
// trial. Both do the same work, so the allowance only covers differing caches and clocks. A
// module whose trial took 0.5 s may take 2.5 s here, one of 5 s may take 16 s.
func compileRoom(used, limit time.Duration) time.Duration { return min(limit, 3*used+time.Second) }

// try tries the module with the engine's Sandbox. It returns how much time loading it here may
// take, or why it is refused.
func (e *Engine) try(ctx context.Context, t Trial) (time.Duration, error) {
	limit := t.Limits.LoadTime
	r, err := e.sandbox.Try(ctx, t)
	switch {
	case errors.Is(err, ErrNoTrial):
		if text := err.Error(); e.warned.Swap(text) != text {
			e.warn(err)
		}
		return limit, nil
	case err != nil:
		return 0, givenUp(t.Name, err)
	case r.Refusal == nil:
		e.agreed.add(sumOf(t.Module, t.Config))
		return compileRoom(r.Used, limit), nil
	}
	for _, l := range r.Lines { // they may say why; those of a module that passed are logged when it is loaded here
		e.log(t.Name, l.Level, l.Text)
	}
	return 0, r.Refusal.gateError(t.Name)
}

// givenUp returns the error of a load that ended because its context did.
func givenUp(name string, err error) *GateError {
	return atGate(GateSize, name, refuseNow("load it again", "loading was given up: %w", err))
}
