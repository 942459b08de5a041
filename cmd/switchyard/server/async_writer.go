package server

import (
	"io"
	"sync"
	"time"
)

const (
	// maxBuffered is how many bytes of the log are buffered.
	maxBuffered = 1 << 20
	// flushTime is how long close waits until the last lines are written.
	flushTime = time.Second
)

// An asyncWriter writes the log in a goroutine of its own, so that a pipe that is not read, or a
// slow disk, blocks no other goroutine. Lines that do not fit into its buffer are lost, and
// counted.
type asyncWriter struct {
	// Static.
	out  io.Writer
	more chan struct{} // sent to when there is something to write; holds one, never closed
	done chan struct{} // closed when everything is written

	mu      sync.Mutex // guards what follows; held while a line is copied
	waiting []byte
	lost    int // lines, since the last report
	closed  bool
}

func newAsyncWriter(out io.Writer) *asyncWriter {
	return &asyncWriter{out: out, more: make(chan struct{}, 1), done: make(chan struct{})}
}

// start starts to write. report is called after lines were lost, with their number; it may log.
func (w *asyncWriter) start(report func(lines int)) { go w.writeLoop(report) }

// Write copies a line to the buffer if there is room. It does not block and does not fail.
func (w *asyncWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	if w.closed || len(w.waiting)+len(line) > maxBuffered {
		w.lost++
	} else {
		w.waiting = append(w.waiting, line...)
	}
	w.mu.Unlock()
	w.wake()
	return len(line), nil
}

func (w *asyncWriter) wake() {
	select {
	case w.more <- struct{}{}:
	default: // the last wake-up is still pending
	}
}

// writeLoop writes what is buffered, until the writer is closed and the buffer is empty. Errors
// of writing are ignored, as there is no other place to report them.
func (w *asyncWriter) writeLoop(report func(lines int)) {
	defer close(w.done)
	var writing []byte
	for range w.more {
		w.mu.Lock()
		writing, w.waiting = w.waiting, writing[:0]
		w.mu.Unlock()
		w.out.Write(writing)
		w.mu.Lock()
		lost, ended := w.lost, w.closed && len(w.waiting) == 0
		w.lost = 0
		w.mu.Unlock()
		if ended {
			return
		}
		if lost > 0 {
			report(lost)
		}
	}
}

// close returns when the buffer is written, or after flushTime. In that case the goroutine keeps
// running until the process exits.
func (w *asyncWriter) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.wake()
	select {
	case <-w.done:
	case <-time.After(flushTime):
	}
}
