package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A gated writer blocks until its gate is closed or sent to.
type gated struct {
	bytes.Buffer
	gate    chan struct{}
	writing chan struct{}
}

func (g *gated) Write(p []byte) (int, error) {
	g.writing <- struct{}{}
	<-g.gate
	return g.Buffer.Write(p)
}

func TestAsyncWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &gated{gate: make(chan struct{}), writing: make(chan struct{}, 1000)}
		w := newAsyncWriter(out)
		var lost atomic.Int64
		w.start(func(lines int) { lost.Add(int64(lines)) })
		io.WriteString(w, "first\n")
		<-out.writing
		line := strings.Repeat("x", 1023) + "\n"
		for range 3 * maxBuffered / len(line) {
			if n, err := io.WriteString(w, line); n != len(line) || err != nil {
				t.Fatal(n, err)
			}
		}
		close(out.gate)
		io.WriteString(w, "last\n")
		w.close()
		text := out.String()
		kept := int64(strings.Count(text, line))
		if !strings.HasPrefix(text, "first\nx") || kept != maxBuffered/int64(len(line)) {
			t.Errorf("%d lines were written, want as many as there is room for", kept)
		}
		if all := kept + lost.Load(); all < 3*maxBuffered/int64(len(line)) {
			t.Errorf("%d lines were written and %d lost", kept, lost.Load())
		}
		io.WriteString(w, "late")
		if strings.Contains(out.String(), "late") {
			t.Error("a line was written after close")
		}
	})
}

// Lost lines are reported although the buffer is full when the output takes lines again, and the
// writer is closed before it is written.
func TestAsyncWriterReportsWhileItCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &gated{gate: make(chan struct{}), writing: make(chan struct{}, 10)}
		w := newAsyncWriter(out)
		w.start(func(lines int) { fmt.Fprintf(w, "lost %d\n", lines) })
		io.WriteString(w, "first\n")
		<-out.writing
		full := strings.Repeat("x", maxBuffered-1) + "\n"
		for _, line := range []string{full, "lost\n", "lost\n"} {
			io.WriteString(w, line)
		}
		out.gate <- struct{}{} // for the first line
		<-out.writing          // the buffer is being written
		go close(out.gate)
		w.close()
		if got, _ := strings.CutPrefix(out.String(), "first\n"+full); got != "lost 2\n" {
			t.Errorf("after the lines that fit: %q", got)
		}
	})
}

// close does not wait for ever for an output that is not read.
func TestAsyncWriterThatIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &gated{gate: make(chan struct{}), writing: make(chan struct{}, 1)}
		w := newAsyncWriter(out)
		w.start(func(int) {})
		io.WriteString(w, "line\n")
		start := time.Now()
		w.close()
		if took := time.Since(start); took != flushTime {
			t.Errorf("closing took %v, want %v", took, flushTime)
		}
		close(out.gate)
		<-w.done
	})
}

// A refusing writer takes room bytes, and refuses the rest until room is added.
type refusing struct {
	mu   sync.Mutex
	room int
	bytes.Buffer
}

func (r *refusing) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(r.room, len(p))
	r.room -= n
	r.Buffer.Write(p[:n])
	if n < len(p) {
		return n, errors.New("no space left")
	}
	return n, nil
}

// Lines that the output refuses are counted and reported once it takes lines again. A line that
// was cut does not run into the next one.
func TestAsyncWriterWhoseOutputRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &refusing{room: 3}
		w := newAsyncWriter(out)
		w.start(func(lines int) { fmt.Fprintf(w, "lost %d\n", lines) })
		for _, line := range []string{"first\n", "second\n", "third\n"} {
			io.WriteString(w, line)
			synctest.Wait()
		}
		if lost := w.lost(); lost != 3 {
			t.Errorf("%d lines are lost, want 3", lost)
		}
		out.mu.Lock()
		out.room = 1000
		out.mu.Unlock()
		io.WriteString(w, "fourth\n")
		synctest.Wait()
		w.close()
		if got, want := out.String(), "fir\nfourth\nlost 3\n"; got != want {
			t.Errorf("written: %q, want %q", got, want)
		}
	})
}
