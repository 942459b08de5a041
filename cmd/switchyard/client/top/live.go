package top

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"switchyard/cmd/switchyard/client/terminal"
)

// A Screen displays pages; terminal.Screen is one.
type Screen interface {
	Size() (columns, rows int)
	Draw([]terminal.Line) error
	Keys() <-chan rune // closed when the terminal is gone
	Resized() <-chan os.Signal
	Close()
}

// A result is the outcome of a request for a sample. A panic in the goroutine that took it is carried
// to the goroutine that owns the screen: printed elsewhere, it would be lost with the alternate
// screen.
type result struct {
	sample   *sample
	err      error
	panicked any
}

// A live is a top that refreshes. It belongs to the goroutine of run. Each sample is taken
// by a goroutine of its own, at most one at a time, which sends to results.
type live struct {
	server  Server
	options Options
	screen  Screen

	before, now *sample
	report      *Report
	err         error // of the last sample

	sampling bool
	results  chan result // never closed
	samplers sync.WaitGroup
}

// Live displays reports until ctx ends or the user quits. It opens the screen after the first
// sample, and closes it in any case. If a later sample fails, it shows the error and tries
// again.
func Live(ctx context.Context, server Server, o Options, open func() (Screen, error)) error {
	first, err := o.take(ctx, server)
	if err != nil {
		return orInterrupted(ctx, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &live{server: server, options: o, results: make(chan result, 1)}
	defer l.samplers.Wait()
	defer cancel()
	l.update(first)
	if l.screen, err = open(); err != nil {
		return err
	}
	defer l.screen.Close() // also before a panic is printed
	return l.run(ctx)
}

// run draws after every event: a sample, a key, a new size of the window, or a tick. It never waits
// for the server, so keys work while the server hangs.
func (l *live) run(ctx context.Context) error {
	ticker := time.NewTicker(l.options.Interval)
	defer ticker.Stop()
	keys := l.screen.Keys()
	for {
		if err := l.draw(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			l.sample(ctx)
		case r := <-l.results:
			l.finish(r)
		case key, ok := <-keys:
			if !ok || l.pressed(key) {
				return nil
			}
		case <-l.screen.Resized():
		}
	}
}

// sample requests a sample, unless a request is under way. It does so in another goroutine,
// so that the user can quit while the server hangs.
func (l *live) sample(ctx context.Context) {
	if l.sampling {
		return
	}
	l.sampling = true
	o := l.options
	l.samplers.Go(func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
			l.results <- r
		}()
		r.sample, r.err = o.take(ctx, l.server)
	})
}

// finish shows the outcome of a request. After an error the last report stays, with the error below
// it.
func (l *live) finish(r result) {
	l.sampling = false
	switch {
	case r.panicked != nil:
		panic(r.panicked) // in this goroutine, whose defer closes the screen
	case r.err != nil:
		l.err = r.err
	default:
		l.update(r.sample)
	}
}

// update makes s the current sample. Rates are over the time since the last one that succeeded, so a
// request that failed makes the interval longer and not the rates wrong.
func (l *live) update(s *sample) {
	l.before, l.now, l.err = l.now, s, nil
	l.report = compare(l.server.Server(), l.before, l.now)
	l.report.sort(l.options.Sort)
}

// pressed handles a key, and reports whether it quits. The first letters of Sorts choose the order.
func (l *live) pressed(key rune) bool {
	switch key {
	case 'q', 'Q', terminal.Interrupt:
		return true
	}
	for _, by := range Sorts {
		if key == rune(by[0]) {
			l.options.Sort = by
			l.report.sort(by)
		}
	}
	return false
}

// draw draws the present report.
func (l *live) draw() error {
	_, rows := l.screen.Size()
	return l.screen.Draw(page(l.report, view{l.options.Sort, l.options.Interval, l.err}, rows))
}
