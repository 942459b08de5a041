package hub

import (
	"sync"
	"sync/atomic"
)

// chunkSize is how many bytes of the log are allocated, and recycled, at a time.
const chunkSize = 256 << 10

// spareChunks is how many unused chunks are kept for reuse.
const spareChunks = 8

// A chunk is a stretch of a log. The bytes below n never change until the chunk
// is recycled.
type chunk struct {
	base uint64 // position in the log of bytes[0]; fixed while in use
	n    int    // bytes filled; guarded by hub.mu while it is the log's last chunk, then fixed
	next *chunk // set once, when the next chunk becomes the last; guarded by hub.mu until then

	// refs counts the references to the chunk: by the log to its last one, by the
	// chunk before it in a linked log, by each cursor inside, and by each edit that
	// inserts from it.
	refs  atomic.Int32
	bytes [chunkSize]byte
}

// A log is a sequence of bytes that only grows at its end. The methods are called
// under hub.mu.
//
// In a linked log, each chunk holds a reference to the next one. So a cursor that
// holds one chunk can read on to the end, and the chunks before all cursors are
// recycled one after the other:
//
//	      cursor of a seat that lags     cursors of all others
//	              ▼                               ▼
//	(free)   [ chunk 7 ] ──▶ [ chunk 8 ] ──▶ [ chunk 9 ]  ◀── last
//
// The side log is not linked. There a chunk lives until the last edit that inserts
// from it is passed.
type log struct {
	linked bool
	last   *chunk
	end    uint64 // position behind the last byte
	pdus   uint64 // PDUs appended so far
	spare  *spares
}

// A position is a place in a linked log, and how many PDUs are before it.
type position struct {
	at   uint64
	pdus uint64
	last *chunk // the chunk that contains it; may be read only through a reference to an earlier chunk
}

func (l *log) head() position { return position{at: l.end, pdus: l.pdus, last: l.last} }

// append copies b, which is pdus whole PDUs, to the end of the log.
func (l *log) append(b []byte, pdus int) {
	for len(b) > 0 {
		b = b[len(l.extend(b)):]
	}
	l.pdus += uint64(pdus)
}

// extend copies as much of b as fits into the last chunk, at least one byte, and
// returns the copy: the end of l.last.
func (l *log) extend(b []byte) []byte {
	if l.last == nil || l.last.n == chunkSize {
		l.grow()
	}
	c := l.last
	n := copy(c.bytes[c.n:], b)
	c.n += n
	l.end += uint64(n)
	return c.bytes[c.n-n : c.n]
}

// grow adds an empty chunk.
func (l *log) grow() {
	c := l.spare.take()
	c.base = l.end
	c.refs.Store(1)
	old := l.last
	l.last = c
	if old == nil {
		return
	}
	if l.linked {
		c.refs.Add(1)
		old.next = c
	}
	l.spare.drop(old)
}

// spares keeps a few unused chunks. The one used last is reused first, because it is
// still in the processor's cache.
type spares struct {
	inUse  atomic.Int64 // chunks taken and not given back
	mu     sync.Mutex   // guards chunks; no other lock is taken while it is held
	chunks []*chunk
}

// take returns an empty chunk without references.
func (s *spares) take() *chunk {
	s.inUse.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.chunks); n > 0 {
		c := s.chunks[n-1]
		s.chunks = s.chunks[:n-1]
		return c
	}
	return new(chunk)
}

// drop gives back one reference to c. Without references a chunk is recycled, which
// gives back its reference to the next one.
func (s *spares) drop(c *chunk) {
	for c != nil && c.refs.Add(-1) == 0 {
		next := c.next
		c.n, c.next = 0, nil
		s.inUse.Add(-1)
		s.mu.Lock()
		if len(s.chunks) < spareChunks {
			s.chunks = append(s.chunks, c)
		}
		s.mu.Unlock()
		c = next
	}
}
