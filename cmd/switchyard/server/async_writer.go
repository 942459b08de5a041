package server

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxBuffered is how many bytes of lines wait at most: some 5,000 lines of the log.
	maxBuffered = 1 << 20
	// flushTime is how long close waits until the last lines are written.
	flushTime = time.Second
)

// An asyncWriter writes the log, or the access log, in a goroutine of its own, so that a pipe that
// is not read, or a slow disk, blocks no other goroutine. Lines that do not fit into its buffer, or
// that the output refuses, are lost, and counted.
type asyncWriter struct {
	// Static.
	out  io.Writer
	more chan struct{} // sent to when there is something to write; holds one, never closed
	done chan struct{} // closed when everything is written

	lostSoFar atomic.Uint64 // lines, in all

	mu      sync.Mutex // guards what follows; held while a line is copied
	waiting []byte
	closed  bool // close was called
	ended   bool // writeLoop no longer takes lines
}

// newAsyncWriter returns a writer that takes lines already, and writes them once it is started.
func newAsyncWriter(out io.Writer) *asyncWriter {
	return &asyncWriter{out: out, more: make(chan struct{}, 1), done: make(chan struct{})}
}

// start starts to write. report is called after lines were lost, with their number, once the
// output takes lines again, also if the writer is being closed; it may log.
func (w *asyncWriter) start(report func(lines int)) { go w.writeLoop(report) }

// Write copies a line to the buffer if there is room. It does not block and does not fail.
func (w *asyncWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	if w.ended || len(w.waiting)+len(line) > maxBuffered {
		w.lostSoFar.Add(1)
	} else {
		w.waiting = append(w.waiting, line...)
	}
	w.mu.Unlock()
	w.wake()
	return len(line), nil
}

// wake makes writeLoop look. One wake-up stands for all lines that are waiting.
func (w *asyncWriter) wake() { notice(w.more) }

// writeLoop writes what is buffered, until the writer is closed, the buffer is empty, and what was
// lost is reported. It reports when it has just emptied the buffer, so that there is room for the
// report, and only if the output took all of the lines before. A report that is lost would count
// as a lost line and cause the next one.
func (w *asyncWriter) writeLoop(report func(lines int)) {
	defer close(w.done)
	var writing []byte
	var reported uint64
	takes := false // the output took all of what was last written
	cut := false   // the last line was written only in part
	for range w.more {
		w.mu.Lock()
		// Two buffers take turns, so that lines are taken while the others are being written.
		writing, w.waiting = w.waiting, writing[:0]
		w.mu.Unlock()
		if lost := w.lostSoFar.Load(); lost > reported && takes {
			report(int(lost - reported))
			reported = lost
		}
		if len(writing) > 0 {
			taken := w.write(writing, cut)
			takes = taken == len(writing)
			// After a full disk, the next line must not continue the one that was cut.
			if taken > 0 {
				cut = writing[taken-1] != '\n'
			}
		}
		if takes && w.lostSoFar.Load() > reported {
			w.wake()
		} else if w.end() {
			return
		}
	}
}

// end ends the taking of lines if the writer is closed and its buffer empty, and reports whether
// it has.
func (w *asyncWriter) end() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = w.closed && len(w.waiting) == 0
	return w.ended
}

// write writes whole lines, and returns how many bytes of them were taken. It counts the rest as
// lost: the output is a full disk, or a pipe whose reader is gone. If the line before was cut, it
// is ended first.
func (w *asyncWriter) write(lines []byte, cut bool) (taken int) {
	if cut {
		if _, err := w.out.Write([]byte("\n")); err != nil {
			w.lostSoFar.Add(uint64(bytes.Count(lines, []byte("\n"))))
			return 0
		}
	}
	taken, err := w.out.Write(lines)
	if err != nil {
		w.lostSoFar.Add(uint64(bytes.Count(lines[taken:], []byte("\n"))))
	}
	return taken
}

// lost returns how many lines were lost so far.
func (w *asyncWriter) lost() uint64 { return w.lostSoFar.Load() }

// close returns true when the buffer is written, or false after flushTime. In that case the goroutine
// keeps running until the process exits.
func (w *asyncWriter) close() (written bool) {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.wake()
	select {
	case <-w.done:
		return true
	case <-time.After(flushTime):
		return false
	}
}
