// Package trial loads a policy in a child process, before the server loads it: a module that
// attacks the compiler or the engine harms only the child. The child is the same
// program. It has no environment, no descriptors but three pipes, and limits of memory and
// CPU time; it is killed when it takes too long, and when the server ends.
//
//	server                                 child
//	Runner.Try ── wasm.Trial, on stdin ──▶ Child: wasm.Try
//	           ◀─ messages, on stdout ──── each gate that the module enters, then the report
//
// trial.go is the server's side, child.go the child's.
package trial

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"switchyard/policy/sanitize"
	"switchyard/policy/wasm"
)

const (
	compileMemory = 512 << 20 // bytes; see Runner

	reportBytes = 1 << 20  // the longest output of a child that is read
	stderrBytes = 16 << 10 // and of its errors
)

// steps are the load times of the first trials of a module: one that does not end within a step is
// tried again with the next one, and at last with the whole load time. Small modules take the
// first, those of Go the second. Each step has a lane of its own, so that modules pass those that
// take longer:
//
//	500 ms   ▓ ▓ ▓ ▓▓▓▓▓
//	5 s           ▓▓▓ ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
//	whole                                 ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓ …
var steps = [...]time.Duration{500 * time.Millisecond, 5 * time.Second}

// A Runner tries policies in child processes: one at a time in each lane. It implements
// wasm.Trier.
type Runner struct {
	memory uint64                        // how many bytes loading may take, besides those of instances
	lanes  [len(steps) + 1]chan struct{} // hold one token while a trial runs
}

// New returns a Runner.
func New() *Runner {
	keepDescriptors()
	r := &Runner{memory: compileMemory}
	for i := range r.lanes {
		r.lanes[i] = make(chan struct{}, 1)
	}
	return r
}

// Try implements wasm.Trier.
func (r *Runner) Try(ctx context.Context, t wasm.Trial) (wasm.Report, error) {
	for i, step := range steps {
		if t.Limits.LoadTime <= step {
			return r.alone(ctx, r.lanes[i], t)
		}
		first := t
		first.Limits.LoadTime, first.Starved = step, 0
		report, err := r.alone(ctx, r.lanes[i], first)
		if err != nil || report.Refusal == nil || !report.Refusal.Slow {
			return report, err
		}
	}
	return r.alone(ctx, r.lanes[len(steps)], t)
}

// alone runs a trial while no other one holds the token of the lane.
func (r *Runner) alone(ctx context.Context, lane chan struct{}, t wasm.Trial) (wasm.Report, error) {
	select {
	case lane <- struct{}{}:
		defer func() { <-lane }()
	case <-ctx.Done():
		return wasm.Report{}, ctx.Err()
	}
	report, err := run(ctx, order{t, r.memory})
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", wasm.ErrNoTrial, err)
	}
	return report, err
}

// run runs one trial in a child. An error says that no child could be started.
func run(ctx context.Context, o order) (wasm.Report, error) {
	path, err := program()
	if err != nil {
		return wasm.Report{}, err
	}
	// On Linux, a child ends with the thread that started it, which must not end before.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	timed, cancel := context.WithTimeout(ctx, o.Longest())
	defer cancel()
	cmd := exec.CommandContext(timed, path, argument)
	cmd.Args[0] = "switchyard"
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second
	out, stderr := limited{room: reportBytes}, limited{room: stderrBytes}
	cmd.Stdout, cmd.Stderr = &out, &stderr
	confine(cmd)
	if err := feed(cmd, o); err != nil {
		return wasm.Report{}, fmt.Errorf("start %s: %w", path, err)
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return wasm.Report{}, ctx.Err()
	}
	gate, report := messages(out.kept)
	switch {
	case report != nil:
		report.Refusal = ownLimit(o, peakMemory(cmd.ProcessState), report.Refusal)
		return *report, nil
	case noThread(stderr.String()) && peakMemory(cmd.ProcessState) < o.Memory/2:
		// It can happen at any moment, and is not a fault of the guest, unless the guest has used up the
		// memory: with cgo, the stack of a thread counts as memory.
		return wasm.Report{}, fmt.Errorf("%s got no thread: %s; raise the limits of processes (ulimit -u, TasksMax) and of address space (ulimit -v)", path, brief(stderr.String()))
	case gate == "" && timed.Err() == nil:
		return wasm.Report{}, fmt.Errorf("%s ended before it began (%v): %s", path, err, brief(stderr.String()))
	}
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	refusal := postMortem(o, used, timed.Err() != nil, cmd.ProcessState.String(), stderr.String())
	refusal.Gate = gate
	return wasm.Report{Used: used, Refusal: refusal}, nil
}

// feed starts the child and gives it the order.
func feed(cmd *exec.Cmd, o order) error {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	// A child that ends before it has read everything ends the write; Wait says why it ended.
	_ = gob.NewEncoder(stdin).Encode(o)
	stdin.Close()
	return nil
}

// messages returns the last gate that the child reported, and its report if there is one.
func messages(out []byte) (gate wasm.Gate, report *wasm.Report) {
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var m message
		if d.Decode(&m) != nil {
			return gate, nil
		}
		if m.Report != nil {
			return gate, m.Report
		}
		gate = m.Gate
	}
}

// postMortem says why a child ended without a report.
func postMortem(o order, used time.Duration, timedOut bool, state, stderr string) *wasm.Refusal {
	limit := o.Limits.LoadTime
	switch {
	case timedOut && used < limit:
		return wasm.Starved(o.Longest(), used)
	case timedOut, used >= limit:
		return wasm.Overdue(limit)
	case outOfMemory(stderr) && addressesLimited():
		return &wasm.Refusal{Text: "loading got no memory: the address space of this process is limited", Temporary: true,
			Remedy: "raise its limit (ulimit -v, LimitAS), then load it again"}
	case outOfMemory(stderr), noThread(stderr):
		return tooLarge(o)
	}
	return &wasm.Refusal{Text: fmt.Sprintf("the process that loaded it for trial ended (%s): %s", state, brief(stderr)),
		Remedy: "build the module again; if that does not help, report it"}
}

func tooLarge(o order) *wasm.Refusal {
	return &wasm.Refusal{Text: fmt.Sprintf("loading took more than %d MiB of memory, besides that of instances", o.Memory>>20),
		Remedy: "make the module smaller: fewer functions, globals and tables, less code"}
}

// ownLimit returns the refusal that a child reported. A child with much memory, peak bytes, that got no
// more does not know that its own limit was the cause.
func ownLimit(o order, peak uint64, r *wasm.Refusal) *wasm.Refusal {
	if r == nil || !r.Temporary || !outOfMemory(r.Text) || addressesLimited() || peak < o.Memory/2 {
		return r
	}
	limit := tooLarge(o)
	limit.Gate = r.Gate
	return limit
}

// outOfMemory reports whether Go's runtime, or its race detector, says that it got no more memory.
func outOfMemory(stderr string) bool {
	return strings.Contains(stderr, "out of memory") || strings.Contains(stderr, "cannot allocate memory") || strings.Contains(stderr, "failed to allocate")
}

// noThread reports whether Go's runtime, with or without C's, says that it got no thread.
func noThread(stderr string) bool {
	return strings.Contains(stderr, "failed to create new OS thread") || strings.Contains(stderr, "pthread_create failed")
}

// brief returns the first line of what a child wrote about its end.
func brief(stderr string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(stderr), "\n")
	if line == "" {
		return "without a word"
	}
	return sanitize.Text(sanitize.Cut(line, 200))
}

// limited keeps the first room bytes that are written to it. It embeds no bytes.Buffer, whose
// ReadFrom io.Copy would call instead of Write.
type limited struct {
	kept []byte
	room int
}

func (l *limited) Write(p []byte) (int, error) {
	l.kept = append(l.kept, p[:min(len(p), l.room-len(l.kept))]...)
	return len(p), nil
}

func (l *limited) String() string { return string(l.kept) }
