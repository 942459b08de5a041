package top

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/cmd/switchyard/client/terminal"
)

func spell(page []terminal.Line) string {
	var b strings.Builder
	for _, line := range page {
		for _, span := range line {
			if b.WriteString(span.Text); span.Style == terminal.Alarm {
				b.WriteString("!")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// A paper is a screen that keeps the last page.
type paper struct {
	mu    sync.Mutex // guards these, as the test reads them while it draws
	page  string
	drawn int
	fail  error

	keys    chan rune
	resized chan os.Signal
	closed  bool
}

func (p *paper) Size() (int, int) { return 200, 24 }
func (p *paper) Draw(page []terminal.Line) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.page = spell(page)
	p.drawn++
	return p.fail
}
func (p *paper) Keys() <-chan rune         { return p.keys }
func (p *paper) Resized() <-chan os.Signal { return p.resized }
func (p *paper) Close()                    { p.closed = true }

// last waits until the bubble is idle, and returns the last page and how many were drawn.
func (p *paper) last() (page string, drawn int) {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.page, p.drawn
}

// run runs a live top in a bubble, does something to it, and returns how it ended.
func run(t *testing.T, f *fake, act func(*paper, context.CancelFunc)) (p *paper, err error) {
	t.Helper()
	f.start = time.Now()
	p = &paper{keys: make(chan rune), resized: make(chan os.Signal, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- Live(ctx, f, options, func() (Screen, error) { return p, nil })
	}()
	synctest.Wait()
	act(p, cancel)
	return p, <-ended
}

// It refreshes once an interval, sorts by keys, and quits.
func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := new(fake)
		shows := func(p *paper, want ...string) {
			t.Helper()
			page, _ := p.last()
			at := 0
			for _, w := range want {
				i := strings.Index(page[at:], w)
				if i < 0 {
					t.Fatalf("it does not show %q there:\n%s", want, page)
				}
				at += i
			}
		}
		p, err := run(t, f, func(p *paper, _ context.CancelFunc) {
			shows(p, "in 1.0/s", "[r: rate]") // as the server says
			time.Sleep(options.Interval)
			shows(p, "in 100/s 4.9KiB/s", "\nacme", "\nbeta", "!\n", "10.0.0.1:1", "10.0.0.2:1")
			p.keys <- 'l'
			shows(p, "\nbeta", "\nacme", "10.0.0.2:1", "10.0.0.1:1", "[l: lag]")
			p.keys <- 'n'
			shows(p, "\nacme", "\nbeta", "[n: name]")
			p.keys <- 'x'
			shows(p, "[n: name]")
			_, drawn := p.last()
			p.resized <- os.Interrupt
			if _, now := p.last(); now != drawn+1 {
				t.Errorf("another size has it drawn %d times", now-drawn)
			}
			time.Sleep(options.Interval)
			p.keys <- 'q'
		})
		if err != nil || !p.closed {
			t.Errorf("it ends with %v, closed %t", err, p.closed)
		}
		if want := []string{"rate", "rate", "id"}; !slices.Equal(f.asked, want) {
			t.Errorf("it asked by %v, want %v", f.asked, want)
		}
	})
}

// top shows that a server does not answer and asks it again; keys continue to work.
func TestLiveWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := new(fake)
		p, err := run(t, f, func(p *paper, _ context.CancelFunc) {
			f.becomes(errors.New("nobody \x1bthere"), false)
			time.Sleep(options.Interval)
			if page, _ := p.last(); !strings.HasSuffix(page, "nobody \x1bthere!\n") || !strings.Contains(page, "acme") {
				t.Errorf("it shows\n%s", page)
			}
			f.becomes(nil, false)
			time.Sleep(options.Interval)
			if page, _ := p.last(); strings.Contains(page, "there!") || !strings.Contains(page, "in 100/s") {
				t.Errorf("it shows\n%s", page)
			}
			f.becomes(nil, true)
			time.Sleep(10 * options.Interval)
			p.keys <- terminal.Interrupt
		})
		if err != nil || !p.closed {
			t.Errorf("it ends with %v, closed %t", err, p.closed)
		}
	})
}

// However it ends, the screen is closed.
func TestLiveEnds(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		act  func(*fake, *paper, context.CancelFunc)
		want error
	}{
		"cancelled":     {func(_ *fake, _ *paper, cancel context.CancelFunc) { cancel() }, nil},
		"keys closed":   {func(_ *fake, p *paper, _ context.CancelFunc) { close(p.keys) }, nil},
		"drawing fails": {func(_ *fake, p *paper, _ context.CancelFunc) { p.mu.Lock(); p.fail = broken; p.mu.Unlock() }, broken},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := new(fake)
				p, err := run(t, f, func(p *paper, cancel context.CancelFunc) {
					c.act(f, p, cancel)
					time.Sleep(options.Interval)
				})
				if err != c.want || !p.closed {
					t.Errorf("it ends with %v, closed %t, want %v", err, p.closed, c.want)
				}
			})
		})
	}
}

// A panic in the goroutine that asks the server reaches the caller after the screen is
// closed.
func TestLivePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{start: time.Now(), panics: 2}
		p := &paper{}
		defer func() {
			if text, _ := recover().(string); !strings.HasPrefix(text, "on purpose\n") || !p.closed {
				t.Errorf("it panics with %q, closed %t", text, p.closed)
			}
		}()
		Live(t.Context(), f, options, func() (Screen, error) { return p, nil })
		t.Error("it does not panic")
	})
}

// If the server does not answer at first, the screen is not opened.
func TestLiveWithoutServer(t *testing.T) {
	f := &fake{fail: errors.New("nobody there")}
	err := Live(t.Context(), f, options, func() (Screen, error) { t.Error("opened"); return nil, nil })
	if err != f.fail {
		t.Errorf("it says %v", err)
	}
}
