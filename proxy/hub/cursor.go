package hub

import "encoding/binary"

// A cursor is how far a seat's writer has come: in the log, in its edits, and
// within the edit it is at.
type cursor struct {
	chunk *chunk
	off   int // in chunk
	edit  int // index of the next edit
	done  int // bytes of it that were sent
}

func (c cursor) at() uint64 { return c.chunk.base + uint64(c.off) }

// Due appends to vec what the session is to be sent next, in order, and returns
// it: pieces that alias the log, as many as vec has room for and about limit bytes
// in all at most, reaching as far as head. Only the writer may call it; the pieces are valid until it calls Sent, which
// it must do before it calls Due again.
func (s *Seat) Due(vec [][]byte, head Head, limit int) [][]byte {
	s.takeEdits()
	s.until = head.position
	if final := s.final.Load(); final != nil && final.at < s.until.at {
		s.until = *final
	}
	s.move(s.over(s.cursor))
	s.due, s.all = 0, false
	for cur := s.cursor; s.due < limit && len(vec) < cap(vec); {
		var piece []byte
		if piece, cur = s.step(cur); piece == nil {
			s.all = true
			break
		}
		vec = append(vec, piece)
		s.due += len(piece)
	}
	return vec
}

// Sent tells that the first n bytes of what Due returned were written.
func (s *Seat) Sent(n int) {
	caughtUp := s.all && n == s.due
	s.sentBytes.Store(s.sentBytes.Load() + uint64(n))
	for n > 0 {
		piece, next := s.step(s.cursor)
		if n < len(piece) {
			piece, next = piece[:n], s.within(n)
		}
		if !caughtUp {
			s.since.pass(piece)
		}
		s.move(next)
		n -= len(piece)
	}
	s.move(s.over(s.cursor))
	if caughtUp {
		s.base, s.since = s.until.pdus-s.joined.pdus-s.skipped+s.inserted, boundary{}
	}
	s.sent.Store(s.base + s.since.whole)
}

// PassOver moves on to head without sending what is due, for a session that can
// take nothing more. What it passes over is discarded. Only the writer may call it.
func (s *Seat) PassOver(head Head) {
	s.Due(nil, head, 0)
	for {
		piece, next := s.step(s.cursor) // which move may change more than it is told to
		if piece == nil {
			break
		}
		s.move(next)
	}
	s.move(s.over(s.cursor))
}

// takeEdits takes over what was added.
func (s *Seat) takeEdits() {
	if !s.fresh.Load() {
		return
	}
	if s.cursor.edit > len(s.edits)/2 {
		s.edits = s.edits[:copy(s.edits, s.edits[s.cursor.edit:])]
		s.cursor.edit = 0
	}
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.fresh.Store(false)
	had := cap(s.edits)
	s.edits = append(s.edits, s.added...)
	if cap(s.edits) != had {
		s.grew(cap(s.edits) - had)
	}
	s.most = max(s.most, len(s.edits))
	s.added = s.added[:0]
	s.publish()
}

// step returns the next piece due at cur, and the cursor behind it; or nil where
// there is none before s.until.
func (s *Seat) step(cur cursor) ([]byte, cursor) {
	cur = s.over(cur)
	at, end := cur.at(), s.until.at
	if cur.edit < len(s.edits) {
		if e := &s.edits[cur.edit]; e.at == at && e.from != nil {
			piece := e.from.bytes[int(e.off)+cur.done : e.off+e.size]
			cur.edit, cur.done = cur.edit+1, 0
			return piece, cur
		} else {
			end = min(end, e.at)
		}
	}
	if at >= end {
		return nil, cur
	}
	n := end - at
	if cur.chunk != s.until.last {
		n = min(n, uint64(cur.chunk.n-cur.off))
	}
	piece := cur.chunk.bytes[cur.off : cur.off+int(n)]
	cur.off += int(n)
	return piece, cur
}

// over moves cur past what is not sent: the part of the log that the next edits
// skip, and the end of a chunk.
func (s *Seat) over(cur cursor) cursor {
	for {
		at := cur.at()
		if at >= s.until.at {
			return cur
		}
		if cur.edit < len(s.edits) {
			if e := &s.edits[cur.edit]; e.from == nil && e.at == at {
				cur = s.seek(cur, at+uint64(e.size))
				cur.edit++
				continue
			} else if e.at == at {
				return cur
			}
		}
		if cur.chunk == s.until.last || cur.off < cur.chunk.n {
			return cur
		}
		cur.chunk, cur.off = cur.chunk.next, 0
	}
}

// seek moves cur forward in the log to that position, which is not behind s.until.
func (s *Seat) seek(cur cursor, to uint64) cursor {
	for cur.chunk != s.until.last && to > cur.chunk.base+uint64(cur.chunk.n) {
		cur.chunk = cur.chunk.next
	}
	cur.off = int(to - cur.chunk.base)
	return cur
}

// within returns the cursor n bytes into the piece that is due at s.cursor, which
// has more.
func (s *Seat) within(n int) cursor {
	cur := s.over(s.cursor)
	if cur.edit < len(s.edits) && s.edits[cur.edit].at == cur.at() {
		cur.done += n
	} else {
		cur.off += n
	}
	return cur
}

// move makes cur the seat's cursor, and gives up what lies before it.
func (s *Seat) move(cur cursor) {
	spares := &s.hub.spares
	for i := s.cursor.edit; i < cur.edit; i++ {
		e := &s.edits[i]
		if e.from == nil {
			s.skipped += uint64(e.pdus)
			continue
		}
		s.inserted += uint64(e.pdus)
		spares.drop(e.from)
		e.from = nil
	}
	if old := s.cursor.chunk; cur.chunk != old {
		cur.chunk.refs.Add(1)
		spares.drop(old)
	}
	s.cursor = cur
	s.publish()
}

// publish lets others see how far the writer has come.
func (s *Seat) publish() {
	if s.cursor.edit == len(s.edits) {
		s.edits, s.cursor.edit = s.edits[:0], 0
		s.sideAt.Store(noEdit)
	} else {
		s.sideAt.Store(s.edits[s.cursor.edit].side)
	}
	s.queued.Store(int64(len(s.edits) - s.cursor.edit))
	s.at.Store(s.cursor.at())
}

// A boundary follows the framing of what is sent to a session that lags, to know
// how many PDUs it got whole.
type boundary struct {
	length [4]byte // of the PDU being passed, as far as it was seen
	have   int     // bytes of length that were seen
	left   int     // bytes of the PDU to come, once its length is known
	whole  uint64  // PDUs passed
}

// pass takes in the next bytes of the stream.
func (b *boundary) pass(p []byte) {
	for len(p) > 0 {
		if b.have < len(b.length) {
			n := copy(b.length[b.have:], p)
			b.have += n
			b.left = int(binary.BigEndian.Uint32(b.length[:])) - len(b.length)
			p = p[n:]
			continue
		}
		n := min(b.left, len(p))
		b.left -= n
		p = p[n:]
		if b.left == 0 {
			b.have = 0
			b.whole++
		}
	}
}
