package order

import (
	"bytes"
	"slices"
	"time"
)

// What a hub says goes through an Outbox. Functions are in the order in which a record meets them:
// Say queues it, Next gives it a number and returns it to be appended, Back removes it once it has
// been read. What is not read is said again, see again.go.
//
//	Say ─► waiting ─► numbered                                 ─► read back
//	                  7   8   9   10  11                          …  5  6
//	                  ▲           ▲
//	                back        cursor: the next one to append
//	                  └─ inflight ┘

// An Outbox keeps what a hub says to the log until it is read back, so that an append may be lost,
// doubled or overtaken. It is not safe for concurrent use.
type Outbox struct {
	origin Origin
	window int // bytes under way at most
	queue  int // bytes waiting at which the outbox is full

	waiting      []*item
	waitingBytes int
	held         bool // from Enter to Resume: what waits has to wait on

	numbered []piece
	back     uint64 // the number of numbered[0]: the next one to be read back
	cursor   int    // numbered[cursor] is the next to be appended
	inflight int    // bytes of numbered[:cursor]

	again  again
	counts Counts
}

// An item is a record that was said.
type item struct {
	kind  Kind
	bytes []byte // a record; its header is written when it gets a number
	sent  bool   // bytes was returned by Next, so somebody may still read it

	// The number, of its last piece, that it had before the hub entered again, or 0.
	old       uint64
	oldOrigin Origin
}

// A piece is a record with a number: an item, or a part of one that is longer than a record.
type piece struct {
	*item
	from, to int       // of item.bytes, without the header
	sentAt   time.Time // for the first time under this number
}

// len returns the length of the record.
func (p *piece) len() int {
	if p.whole() {
		return len(p.bytes)
	}
	return headerLen + partLen + p.to - p.from
}

func (p *piece) whole() bool { return p.to-p.from == len(p.bytes)-headerLen }

// last reports whether the piece is the last one of its item.
func (p *piece) last() bool { return p.to == len(p.bytes) }

// NewOutbox returns the outbox of a hub that has yet to enter with this incarnation. At most window
// bytes are under way; the outbox is full when queue bytes wait behind them.
func NewOutbox(hub uint16, incarnation uint32, window, queue int) *Outbox {
	return &Outbox{origin: Origin{hub, incarnation}, window: window, queue: queue, back: 1, held: true, again: newAgain(window)}
}

// Origin returns under what the hub says records now.
func (o *Outbox) Origin() Origin { return o.origin }

// Say takes a copy of a record; its Origin and Number are not used. Records about sessions are
// appended in the order in which they are said, after Resume. The others do not wait for them. Only
// a batch may be longer than MaxRecord. Say never refuses, but see Full.
func (o *Outbox) Say(r *Record) {
	it := newItem(r)
	if !r.Kind.ofSession() {
		o.number(it)
		return
	}
	o.waiting = append(o.waiting, it)
	o.waitingBytes += len(it.bytes)
}

// SayFirst says a record about a session before all that waits. It is for what a hub says between
// Enter and Resume about the sessions that it has already.
func (o *Outbox) SayFirst(r *Record) { o.number(newItem(r)) }

// newItem copies the record, into one piece of memory that is large enough for it. The header gets its
// number later.
func newItem(r *Record) *item {
	size := headerLen + sessionLen
	for i := range r.Runs {
		size += runLen + len(r.Runs[i].Bytes)
	}
	return &item{kind: r.Kind, bytes: r.Append(make([]byte, 0, size))}
}

// Full reports whether those that say batches have to wait.
func (o *Outbox) Full() bool { return o.waitingBytes >= o.queue }

// number gives the item the next number, or one for each piece if it is longer than a record.
func (o *Outbox) number(it *item) {
	if len(it.bytes) <= MaxRecord {
		o.numbered = append(o.numbered, piece{item: it, from: headerLen, to: len(it.bytes)})
		if it.sent {
			it.bytes, it.sent = slices.Clone(it.bytes), false
		}
		o.writeHeader(it.bytes, it.kind, o.back+uint64(len(o.numbered))-1)
		return
	}
	for from := headerLen; from < len(it.bytes); from += maxPiece {
		o.numbered = append(o.numbered, piece{item: it, from: from, to: min(from+maxPiece, len(it.bytes))})
	}
}

func (o *Outbox) writeHeader(b []byte, kind Kind, number uint64) {
	header := Record{Kind: kind, Origin: o.origin, Number: number}
	header.appendHeader(b[:0])
}

// Next returns the record that is to be appended now, or false if there is none until Wake, or until
// something is said or read. The caller may read the record until it has appended it, also
// concurrently with other calls.
func (o *Outbox) Next(now time.Time) (record []byte, ok bool) {
	if o.again.settled(now) {
		o.goBack()
	}
	if o.cursor > 0 && o.again.probes(now) {
		o.again.probe(now, o.back, o.back+uint64(o.cursor))
		o.counts.Again++
		return o.record(0), true
	}
	if o.cursor == len(o.numbered) && !o.held && len(o.waiting) > 0 && o.fits(len(o.waiting[0].bytes)) {
		it := o.waiting[0]
		o.waiting[0], o.waiting = nil, o.waiting[1:]
		o.waitingBytes -= len(it.bytes)
		o.number(it)
	}
	if o.cursor == len(o.numbered) {
		return nil, false
	}
	p := &o.numbered[o.cursor]
	if p.kind.ofSession() && !o.fits(p.len()) {
		return nil, false
	}
	if o.inflight == 0 {
		o.again.begin(now)
	}
	if p.sentAt.IsZero() {
		p.sentAt = now
		o.counts.Appended++
	} else {
		o.counts.Again++
	}
	o.inflight += p.len()
	o.cursor++
	return o.record(o.cursor - 1), true
}

// fits reports whether n bytes more may be under way. One record always may.
func (o *Outbox) fits(n int) bool {
	return o.inflight == 0 || o.inflight+min(n, MaxRecord) <= o.again.room
}

// record returns the bytes of numbered[i].
func (o *Outbox) record(i int) []byte {
	p := &o.numbered[i]
	if p.whole() {
		p.sent = true
		return p.bytes
	}
	part := Record{Kind: Part, Origin: o.origin, Number: o.back + uint64(i), Left: uint32(len(p.bytes) - p.to), Piece: p.bytes[p.from:p.to]}
	return part.Append(make([]byte, 0, p.len()))
}

// Forged reports whether a record in this hub's name, with its bytes, is none that the hub has said,
// though its number is one that has not been read back.
func (o *Outbox) Forged(r *Record, record []byte) bool {
	if r.Origin != o.origin || r.Number < o.back {
		return false
	}
	if r.Number-o.back >= uint64(len(o.numbered)) {
		return true
	}
	p := &o.numbered[r.Number-o.back]
	if p.whole() {
		return !bytes.Equal(record, p.bytes)
	}
	return r.Kind != Part || int(r.Left) != len(p.bytes)-p.to || !bytes.Equal(r.Piece, p.bytes[p.from:p.to])
}

// NextBack returns the number of the next record to be read back.
func (o *Outbox) NextBack() uint64 { return o.back }

// Back is called for every record of this hub that is read while it is a member, or while it enters.
func (o *Outbox) Back(now time.Time, r *Record) {
	o.again.heard = now
	if r.Origin != o.origin || r.Number >= o.back+uint64(len(o.numbered)) {
		return
	}
	o.again.quietFrom = now
	switch {
	case r.Number > o.back:
		if r.Number >= o.again.recover {
			o.goBack()
		}
	case r.Number == o.back:
		o.pop(now)
	}
}

// pop removes the first piece, which was read back.
func (o *Outbox) pop(now time.Time) {
	n := o.numbered[0].len()
	if at := o.numbered[0].sentAt; !at.IsZero() {
		o.counts.Trips.add(now.Sub(at))
	}
	o.numbered[0], o.numbered = piece{}, o.numbered[1:]
	if o.cursor > 0 { // otherwise it was to be said again, but an earlier copy has come
		o.cursor--
		o.inflight -= n
	}
	o.again.progress(now, o.back, n, o.window)
	o.back++
}

// goBack has everything that is under way said again.
func (o *Outbox) goBack() {
	o.again.lost(o.back+uint64(o.cursor), o.inflight)
	o.cursor, o.inflight = 0, 0
}

// Heard is called for every record of another hub that is read. After a pause it shows that the log
// continues.
func (o *Outbox) Heard(now time.Time) {
	pause := now.Sub(o.again.heard) > probeAfter
	o.again.heard = now
	if pause && o.cursor > 0 && now.Sub(o.numbered[0].sentAt) >= probeAfter {
		o.again.probeNow()
	}
}

// Probe has the first record that is under way, if there is one, said again at once: the log is
// reached again after it was not, or the other hubs have to hear something.
func (o *Outbox) Probe() {
	if o.cursor > 0 {
		o.again.probeNow()
	}
}

// Pending reports whether Next may have something before Wake: a record that is not under way, or a
// probe that is due at once.
func (o *Outbox) Pending() bool {
	return o.cursor < len(o.numbered) || !o.held && len(o.waiting) > 0 || o.cursor > 0 && o.again.now
}

// Wake returns when Next may have something although nothing is said or read until then, or zero.
func (o *Outbox) Wake() time.Time {
	if o.cursor == 0 {
		return time.Time{}
	}
	return o.again.wake()
}

// Underway returns how many records and bytes have been said and not read back, and when the oldest
// of them was first appended, or zero.
func (o *Outbox) Underway() (records, size int, oldest time.Time) {
	size = o.waitingBytes
	for i := range o.numbered {
		size += o.numbered[i].len()
	}
	if len(o.numbered) > 0 {
		oldest = o.numbered[0].sentAt
	}
	return len(o.numbered) + len(o.waiting), size, oldest
}
