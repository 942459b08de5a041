package server

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// interruptTime limits the drain after SIGINT, as a person waits for it.
	interruptTime = 5 * time.Second
	// abandonTime is how long a forced stop may take. What has not ended by then, such as a
	// call of a policy, which nothing can interrupt, ends with the process.
	abandonTime = time.Second
)

// A stopper decides when the server stops, and when it stops waiting. Its goroutine does nothing
// but receive signals and requests, so that whatever is under way cannot hold them up:
//
//	serving ────────────▶ requested ────────────▶ forced ───────────▶ abandoned
//	        first signal,            second signal,       abandonTime
//	        drain request            end of drain         later
type stopper struct {
	requested context.Context // done when the server is to drain; what is being loaded is given up
	forced    context.Context // done when the drain is over, finished or not
	abandoned context.Context // done when the process is to end at once

	request, force, abandon context.CancelFunc

	// drainTime is drain.timeout; atomic, as Serve stores it.
	drainTime atomic.Int64
	// last is called before abandoned is done, by the stopper's goroutine; nil before the log exists.
	last atomic.Pointer[func()]

	// Written before requested is done, read after it.
	cause string        // a signal's name
	limit time.Duration // of the drain
	ends  time.Time     // when the drain is over; owned by watch
}

// errStopRequested is the cause that requested is done: why whatever was under way is given up.
var errStopRequested = errors.New("a stop was requested")

// newStopper returns a stopper whose contexts are done in this order, if at all: requested,
// forced, abandoned.
func newStopper() *stopper {
	s := new(stopper)
	requested, request := context.WithCancelCause(context.Background())
	s.requested, s.request = requested, func() { request(errStopRequested) }
	s.forced, s.force = context.WithCancel(context.Background())
	s.abandoned, s.abandon = context.WithCancel(context.Background())
	return s
}

// isRequested reports whether the server is to stop.
func (s *stopper) isRequested() bool { return s.requested.Err() != nil }

// watch receives stop signals, and the operators' request, which is drain being closed. It returns
// when over is closed or the server is abandoned. Serve starts it and waits for it.
//
// The request does not count as a signal: a script that asks for the drain and then sends SIGTERM, as
// container runtimes do, asks for the same thing twice and not for haste.
func (s *stopper) watch(signals <-chan os.Signal, drain, over <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for first := true; ; {
		select {
		case <-over:
			return
		case <-drain:
			drain = nil
			s.begin(syscall.SIGTERM, timer)
		case signal := <-signals:
			if first {
				s.begin(signal, timer)
			} else {
				s.endDrain(timer)
			}
			first = false
		// The timer stands for the drain's limit first, and for abandonTime after the stop is forced.
		case <-timer.C:
			if s.forced.Err() == nil {
				s.endDrain(timer)
				continue
			}
			if last := s.last.Load(); last != nil {
				(*last)()
			}
			s.abandon()
			return
		}
	}
}

// begin requests the stop, and limits the drain. If the stop was requested already, what is left
// of the limit only becomes shorter: a person who interrupts does not wait longer than usual.
func (s *stopper) begin(signal os.Signal, timer *time.Timer) {
	if s.isRequested() {
		if signal == syscall.SIGINT && time.Until(s.ends) > interruptTime {
			timer.Reset(interruptTime)
		}
		return
	}
	s.cause, s.limit = signal.String(), time.Duration(s.drainTime.Load())
	if signal == syscall.SIGINT {
		s.limit = min(s.limit, interruptTime)
	}
	s.ends = time.Now().Add(s.limit)
	timer.Reset(s.limit)
	s.request()
}

// endDrain forces the stop.
func (s *stopper) endDrain(timer *time.Timer) {
	if s.forced.Err() == nil {
		timer.Reset(abandonTime)
	}
	s.force()
}
