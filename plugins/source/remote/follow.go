package remote

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// followLoop is the life of an address. How long it waits after a request depends on the answer:
//
//	the policy, or "not changed"            poll, and up to a tenth more
//	a failure before the address is settled  firstRetry, so that a start of the server soon succeeds
//	a failure later                          twice as long as the time before, up to maxBackOff
//	"busy" (429 or 503)                      at least what Retry-After says, up to maxBackOff
//
// Set and Wake cut a wait short, but not that of a machine that is busy. An address is settled once it
// was reached, or when the time for which a start waits is over. Content that was fetched stays in use
// while the address fails.

const (
	// maxBackOff is the longest time between two requests to a failing address.
	maxBackOff = 10 * time.Minute
	// firstRetry is the time between two requests until the address is settled.
	firstRetry = 500 * time.Millisecond
)

// A follower polls one address. What is above content is static.
type follower struct {
	name string
	stop context.CancelFunc
	wake chan struct{} // holds one; received by follow, never closed
	late *time.Timer   // calls settle

	// Guarded by Sources.mu.
	content  *Content // nil until the address is reached
	reached  time.Time
	settled  bool
	err      error // error of the last attempt; nil if it reached the address
	failures int   // consecutive failures since the address was settled
}

// follow starts polling an address. The caller holds mu.
func (s *Sources) follow(name string) *follower {
	f := &follower{name: name, wake: make(chan struct{}, 1)}
	var ctx context.Context
	ctx, f.stop = context.WithCancel(s.ctx)
	f.late = time.AfterFunc(s.wait, func() { s.settle(f) })
	s.running.Go(func() { s.followLoop(ctx, f) })
	return f
}

// settle marks an address so that Settled no longer waits for it.
func (s *Sources) settle(f *follower) {
	s.mu.Lock()
	f.settled = true
	s.mu.Unlock()
	s.changed()
}

// wakeUp makes followLoop ask at once, unless the server specified how long to wait.
func (f *follower) wakeUp() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *follower) end() {
	f.late.Stop()
	f.stop()
}

// followLoop polls an address until ctx is done.
func (s *Sources) followLoop(ctx context.Context, f *follower) {
	for {
		s.mu.Lock()
		o, before := s.options, f.content
		s.mu.Unlock()
		c, err := fetch(ctx, f.name, o, before)
		if ctx.Err() != nil {
			return
		}
		wake := f.wake
		busy, isBusy := errors.AsType[*busyError](err)
		if isBusy {
			wake = nil
		}
		next := time.NewTimer(jitter(s.record(f, c, err, o.Poll, busy)))
		select {
		case <-ctx.Done():
		case <-next.C:
		case <-wake:
		}
		next.Stop()
	}
}

// record records the result of an attempt, and returns how long to wait for the next one. It logs an
// error only when it differs from the one before, so that an address that is down for a day fills no
// log.
func (s *Sources) record(f *follower, c *Content, err error, poll time.Duration, busy *busyError) time.Duration {
	s.mu.Lock()
	before, failed := f.content, f.err
	wait := firstRetry
	switch f.err = err; {
	case err == nil:
		f.content, f.reached, f.settled, f.failures = c, time.Now(), true, 0
		wait = poll
	case f.settled:
		f.failures++
		wait = backOff(poll, f.failures)
	}
	s.mu.Unlock()
	if busy != nil {
		wait = min(max(wait, busy.after), maxBackOff)
	}
	switch {
	case err != nil && (failed == nil || failed.Error() != err.Error()):
		s.log.Warn("policy source unreachable", "source", f.name, "error", err)
	case err == nil && failed != nil:
		s.log.Info("policy source reached again", "source", f.name)
	}
	if err == nil && !c.same(before) {
		s.changed()
	}
	return wait
}

// backOff returns the time until the next request after the given number of failures.
func backOff(poll time.Duration, failures int) time.Duration {
	wait := poll
	for range failures {
		if wait >= maxBackOff {
			break
		}
		wait = min(2*wait, maxBackOff)
	}
	return wait
}

// jitter lengthens a time by up to a tenth, so that many servers do not ask at the same moment.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration(rand.Int64N(int64(d)/10+1))
}
