package server

import (
	"io"
	"sync"
	"time"
)

const (
	// maxSpooled is how many bytes of the log wait for whoever reads it.
	maxSpooled = 1 << 20
	// spoolTime is how long a process that ends waits for its last lines to be taken.
	spoolTime = time.Second
)

// A spool writes the log for those who may not wait: a pipe that nobody reads, or a disk
// that is slow, stops one goroutine of the spool's own. What it has no room for is lost,
// and counted.
type spool struct {
	// Static.
	out  io.Writer
	more chan struct{} // sent to when there is something to write; holds one
	done chan struct{} // closed when everything is written

	mu      sync.Mutex // guards the rest; held while a line is copied
	waiting []byte
	lost    int // lines, since that was told
	closed  bool
}

func newSpool(out io.Writer) *spool {
	return &spool{out: out, more: make(chan struct{}, 1), done: make(chan struct{})}
}

// start starts writing. tell says in the log how many lines were lost.
func (s *spool) start(tell func(lines int)) { go s.writeLoop(tell) }

// Write takes a line, if there is room.
func (s *spool) Write(line []byte) (int, error) {
	s.mu.Lock()
	if s.closed || len(s.waiting)+len(line) > maxSpooled {
		s.lost++
	} else {
		s.waiting = append(s.waiting, line...)
	}
	s.mu.Unlock()
	s.wake()
	return len(line), nil
}

func (s *spool) wake() {
	select {
	case s.more <- struct{}{}:
	default: // it has not looked since the last time
	}
}

// writeLoop writes what waits, until the spool is closed and nothing does. What cannot be
// written is nobody's: there is no other place for it.
func (s *spool) writeLoop(tell func(lines int)) {
	defer close(s.done)
	var writing []byte
	for range s.more {
		s.mu.Lock()
		writing, s.waiting = s.waiting, writing[:0]
		s.mu.Unlock()
		s.out.Write(writing)
		s.mu.Lock()
		lost, ended := s.lost, s.closed && len(s.waiting) == 0
		s.lost = 0
		s.mu.Unlock()
		if ended {
			return
		}
		if lost > 0 {
			tell(lost)
		}
	}
}

// close writes what waits, and returns when that is done or takes too long. Then its
// goroutine ends with the process.
func (s *spool) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.wake()
	select {
	case <-s.done:
	case <-time.After(spoolTime):
	}
}
