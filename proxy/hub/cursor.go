package hub

import "encoding/binary"

// A cursor is how far a seat's writer has come: in the log, in its edits, and within
// the next edit.
type cursor struct {
	chunk *chunk
	off   int // in chunk
	edit  int // index of the next edit
	done  int // bytes of the next edit that were sent
}

// at returns the cursor's position in the log.
func (c cursor) at() uint64 { return c.chunk.base + uint64(c.off) }

// What a seat's writer is to send is the log from its cursor to until, with its edits
// applied. The log lies in linked chunks, the inserted bytes in chunks of the side log:
//
//	position     100     130     160        200        230
//	log        …─┴───a────┴──b────┴───c──────┴───d──────┤ until
//	chunks     … ──── chunk 1 ────────┐┌───── chunk 2 ─────▶
//	edits[0]              at 130: skip 30
//	edits[1]                                 at 200: insert 12 bytes of a side chunk
//
// Followed from a cursor at 100, next returns the pieces
//
//	a, up to 130, where edits[0] skips b
//	c, up to the end of chunk 1
//	c, the rest, up to 200
//	12 bytes of the side chunk, which passes edits[1]
//	d
//
// The pieces alias the chunks. Edits are in the order of their positions; edits at the
// same position are in the order in which they were made.
//
// next, skip, seek and within change nothing but the cursor that they are given and
// return. So a writer can look ahead (Due), and return to its own cursor if only a part
// was written (Sent).

// next returns the piece at cur and the cursor behind it, or nil if no piece is left
// before until.
func (w *writer) next(cur cursor) ([]byte, cursor) {
	cur = w.skip(cur)
	at, end := cur.at(), w.until.at
	if cur.edit < len(w.edits) {
		e := &w.edits[cur.edit]
		if e.at == at && e.from != nil {
			piece := e.from.bytes[int(e.off)+cur.done : e.off+e.size]
			cur.edit, cur.done = cur.edit+1, 0
			return piece, cur
		}
		end = min(end, e.at)
	}
	if at >= end {
		return nil, cur
	}
	n := end - at
	if cur.chunk != w.until.last {
		n = min(n, uint64(cur.chunk.n-cur.off))
	}
	piece := cur.chunk.bytes[cur.off : cur.off+int(n)]
	cur.off += int(n)
	return piece, cur
}

// skip moves cur past what is not sent: the bytes that the next edits skip, and the
// end of a chunk.
func (w *writer) skip(cur cursor) cursor {
	for {
		at := cur.at()
		if at >= w.until.at {
			return cur
		}
		if cur.edit < len(w.edits) {
			if e := &w.edits[cur.edit]; e.from == nil && e.at == at {
				cur = w.seek(cur, at+uint64(e.size))
				cur.edit++
				continue
			} else if e.at == at {
				return cur
			}
		}
		// The last chunk may still grow, and its n belongs to hub.mu.
		if cur.chunk == w.until.last || cur.off < cur.chunk.n {
			return cur
		}
		cur.chunk, cur.off = cur.chunk.next, 0
	}
}

// seek moves cur forward in the log to a position that is not behind until.
func (w *writer) seek(cur cursor, to uint64) cursor {
	for cur.chunk != w.until.last && to > cur.chunk.base+uint64(cur.chunk.n) {
		cur.chunk = cur.chunk.next
	}
	cur.off = int(to - cur.chunk.base)
	return cur
}

// within returns the cursor n bytes into the piece at w.cursor, which is longer than n.
func (w *writer) within(n int) cursor {
	cur := w.skip(w.cursor)
	if cur.edit < len(w.edits) && w.edits[cur.edit].at == cur.at() {
		cur.done += n
	} else {
		cur.off += n
	}
	return cur
}

// Due appends to vec what the session is to be sent next, in order, and returns it:
// pieces that alias the log. It returns as many as fit into vec, about limit bytes in
// all at most, and nothing behind head. Only the writer may call it. The pieces are
// valid until the writer calls Sent, which it must do before it calls Due again.
func (s *Seat) Due(vec [][]byte, head Head, limit int) [][]byte {
	s.takeEdits()
	w := &s.writer
	w.until = head.position
	if w.passed.at > w.until.at { // an edit passes over more than head
		w.until = w.passed
	}
	if final := s.final.Load(); final != nil && final.at < w.until.at {
		w.until = *final
	}
	s.moveTo(w.skip(w.cursor))
	w.due, w.all = 0, false
	for cur := w.cursor; w.due < limit && len(vec) < cap(vec); {
		var piece []byte
		if piece, cur = w.next(cur); piece == nil {
			w.all = true
			break
		}
		vec = append(vec, piece)
		w.due += len(piece)
	}
	return vec
}

// Reached reports whether the cursor is past all that was due before head when Due was last called.
// Only the writer may call it, and only if Due was called after head was taken.
func (s *Seat) Reached(head Head) bool {
	w := &s.writer
	return w.cursor.at() >= head.at && (w.cursor.edit == len(w.edits) || w.edits[w.cursor.edit].at > head.at)
}

// Sent reports that the first n bytes of what Due returned were written.
//
// It counts the PDUs that were sent whole. A writer that has caught up has sent all
// that was due, so the number follows from positions in the log, at no cost per PDU.
// Only the bytes of a writer that lags are parsed, to find where PDUs end.
func (s *Seat) Sent(n int) {
	w := &s.writer
	caughtUp := w.all && n == w.due
	w.sentBytes.Store(w.sentBytes.Load() + uint64(n))
	for n > 0 {
		piece, next := w.next(w.cursor)
		if n < len(piece) {
			piece, next = piece[:n], w.within(n)
		}
		if !caughtUp {
			w.since.add(piece)
		}
		s.moveTo(next)
		n -= len(piece)
	}
	s.moveTo(w.skip(w.cursor))
	if caughtUp {
		w.base, w.since = w.until.pdus-s.joined.pdus-w.skipped+w.inserted, counter{}
	}
	w.sent.Store(w.base + w.since.whole)
}

// PassOver moves the cursor to head without sending what is due, for a session whose
// connection can no longer be written to. What it passes over counts as discarded. Only
// the writer may call it.
func (s *Seat) PassOver(head Head) {
	s.Due(nil, head, 0)
	w := &s.writer
	for {
		piece, next := w.next(w.cursor) // from the seat's own cursor: moveTo may reset the index of the edit
		if piece == nil {
			break
		}
		s.moveTo(next)
	}
	s.moveTo(w.skip(w.cursor))
}

// takeEdits takes over the edits that were added.
func (s *Seat) takeEdits() {
	if !s.fresh.Load() && !s.passes.Load() {
		return
	}
	w := &s.writer
	if w.cursor.edit > len(w.edits)/2 {
		w.edits = w.edits[:copy(w.edits, w.edits[w.cursor.edit:])]
		w.cursor.edit = 0
	}
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if s.passes.Load() {
		s.passLog()
	}
	s.fresh.Store(false)
	w.passed = s.passed
	had := cap(w.edits)
	w.edits = append(w.edits, s.added...)
	if cap(w.edits) != had {
		s.countCap(cap(w.edits) - had)
	}
	w.most = max(w.most, len(w.edits))
	s.added = s.added[:0]
	w.publish()
}

// moveTo makes cur the writer's cursor, and gives back the chunks before it that only
// this seat still needed.
func (s *Seat) moveTo(cur cursor) {
	spares, w := &s.hub.spares, &s.writer
	for i := w.cursor.edit; i < cur.edit; i++ {
		e := &w.edits[i]
		if e.from == nil {
			w.skipped += uint64(e.pdus)
			continue
		}
		w.inserted += uint64(e.pdus)
		spares.drop(e.from)
		e.from = nil
	}
	if old := w.cursor.chunk; cur.chunk != old {
		cur.chunk.refs.Add(1)
		spares.drop(old)
	}
	w.cursor = cur
	w.publish()
}

// publish lets other goroutines see how far the writer has come. When all edits are
// passed, it empties their queue.
func (w *writer) publish() {
	if w.cursor.edit == len(w.edits) {
		w.edits, w.cursor.edit = w.edits[:0], 0
		w.sideAt.Store(noEdit)
	} else {
		w.sideAt.Store(w.edits[w.cursor.edit].side)
	}
	w.queued.Store(int64(len(w.edits) - w.cursor.edit))
	w.at.Store(w.cursor.at())
}

// A counter counts the whole PDUs in a stream of bytes that comes in pieces.
type counter struct {
	length [4]byte // of the PDU at hand, as far as it was seen
	have   int     // bytes of length that were seen
	left   int     // bytes of the PDU to come, once its length is known
	whole  uint64  // PDUs that have ended
}

// add counts the next bytes of the stream.
func (c *counter) add(p []byte) {
	for len(p) > 0 {
		if c.have < len(c.length) {
			n := copy(c.length[c.have:], p)
			c.have += n
			c.left = int(binary.BigEndian.Uint32(c.length[:])) - len(c.length)
			p = p[n:]
			continue
		}
		n := min(c.left, len(p))
		c.left -= n
		p = p[n:]
		if c.left == 0 {
			c.have = 0
			c.whole++
		}
	}
}
