package hub

import (
	"sync"
	"sync/atomic"
)

// chunkSize is how many bytes of the log are allocated, and recycled, at a time.
const chunkSize = 256 << 10

// spareChunks is how many chunks that nobody needs any more are kept for reuse.
const spareChunks = 8

// A chunk is a stretch of a log. The bytes below n never change until the chunk
// is recycled.
type chunk struct {
	base uint64 // position in the log of bytes[0]; fixed while in use
	n    int    // bytes filled; guarded by hub.mu while it is the log's last chunk, then fixed
	next *chunk // set once, together with the next chunk becoming the last; guarded likewise

	// refs counts who needs the chunk: the log for its last one, the chunk before
	// it in a linked log, each cursor inside, each edit that inserts from it.
	refs  atomic.Int32
	bytes [chunkSize]byte
}

// A log is a sequence of bytes that only grows at its end; what nobody reads any
// more is recycled. A linked log can be followed from chunk to chunk. All methods
// are called under hub.mu.
type log struct {
	linked bool
	last   *chunk
	end    uint64 // position behind the last byte
	pdus   uint64 // PDUs appended so far
	spare  *spares
}

// position is a place in a linked log and how many PDUs stand before it.
type position struct {
	at   uint64
	pdus uint64
	last *chunk // that holds it; to be looked into only by who holds an earlier chunk
}

func (l *log) head() position { return position{at: l.end, pdus: l.pdus, last: l.last} }

// append copies b, which is pdus whole PDUs, to the end of the log.
func (l *log) append(b []byte, pdus int) {
	for len(b) > 0 {
		b = b[len(l.extend(b)):]
	}
	l.pdus += uint64(pdus)
}

// extend copies as much of b as the last chunk takes, at least one byte, and
// returns it where it now stands: at the end of l.last.
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

// grow makes a fresh chunk the last one.
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

// spares keeps a few chunks for reuse, the one used last on top, as it is still
// in the cache.
type spares struct {
	inUse  atomic.Int64 // chunks taken and not given back
	mu     sync.Mutex   // guards chunks; nothing else is locked while it is held
	chunks []*chunk
}

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

// drop gives back one reference to c. A chunk that nobody needs is recycled, and
// with it its reference to the next one.
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
