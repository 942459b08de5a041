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

// A Screen is where pages are drawn, as terminal.Screen is.
type Screen interface {
	Size() (columns, rows int)
	Draw([]terminal.Line) error
	Keys() <-chan rune // closed when there can be no more
	Resized() <-chan os.Signal
	Close()
}

// An answer is what asking came to.
type answer struct {
	sample   *sample
	err      error
	panicked any
}

// A live is a top that refreshes. It is one goroutine's, but for ask, which sends to
// answers; there is at most one at a time.
type live struct {
	server  Server
	options Options
	screen  Screen

	before, now *sample
	standing    *Standing
	trouble     error

	asking  bool
	answers chan answer // ask sends; never closed
	asked   sync.WaitGroup
}

// Live shows how the server stands until ctx ends or somebody quits. The screen is
// opened when the server has answered once, and closed however this ends. A server that
// has no answer later is asked again and again.
func Live(ctx context.Context, server Server, o Options, open func() (Screen, error)) error {
	first, err := o.take(ctx, server)
	if err != nil {
		return orInterrupted(ctx, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &live{server: server, options: o, answers: make(chan answer, 1)}
	defer l.asked.Wait()
	defer cancel()
	l.took(first)
	if l.screen, err = open(); err != nil {
		return err
	}
	defer l.screen.Close() // before whatever has panicked is told
	return l.run(ctx)
}

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
			l.ask(ctx)
		case a := <-l.answers:
			l.answered(a)
		case key, ok := <-keys:
			if !ok || l.pressed(key) {
				return nil
			}
		case <-l.screen.Resized():
		}
	}
}

// ask asks the server, unless it has not answered yet. It does not take the goroutine
// that hears keys, so that one can quit while the server hangs.
func (l *live) ask(ctx context.Context) {
	if l.asking {
		return
	}
	l.asking = true
	o := l.options
	l.asked.Go(func() {
		var a answer
		defer func() {
			if p := recover(); p != nil {
				a.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
			l.answers <- a
		}()
		a.sample, a.err = o.take(ctx, l.server)
	})
}

func (l *live) answered(a answer) {
	l.asking = false
	switch {
	case a.panicked != nil:
		panic(a.panicked) // here, where the screen is closed
	case a.err != nil:
		l.trouble = a.err // it is asked again
	default:
		l.took(a.sample)
	}
}

func (l *live) took(s *sample) {
	l.before, l.now, l.trouble = l.now, s, nil
	l.standing = compare(l.server.Server(), l.before, l.now)
	l.standing.sort(l.options.Sort)
}

// pressed does what a key is for, and reports whether that is to quit.
func (l *live) pressed(key rune) bool {
	switch key {
	case 'q', 'Q', terminal.Interrupt:
		return true
	}
	for _, by := range Sorts {
		if key == rune(by[0]) {
			l.options.Sort = by
			l.standing.sort(by)
		}
	}
	return false
}

func (l *live) draw() error {
	_, rows := l.screen.Size()
	return l.screen.Draw(page(l.standing, view{l.options.Sort, l.options.Interval, l.trouble}, rows))
}
