// Package check checks that a connection received what the senders sent: every message,
// once, unchanged, in each sender's order, and none of its own. Its callers pass it the
// bytes and the time.
package check

import (
	"bytes"

	"switchyard/cmd/yardbench/histogram"
	"switchyard/cmd/yardbench/message"
	"switchyard/pdu"
)

// A Recorder records the latency of messages that were due in a span of time. Receivers of
// one goroutine may share it.
type Recorder struct {
	From, Span int64 // nanoseconds of the run's clock
	Latency    histogram.Histogram
}

// A Receiver is what one connection receives, from its beginning. One goroutine at a
// time may use it.
type Receiver struct {
	wire  *message.Wire
	self  uint32 // the number as which the connection sends, or message.Nobody
	rec   *Recorder
	fixed []byte // NATS: the line before each message, as the last one had it

	// Next is, for each sender, the number behind the highest received.
	Next []uint32
	// Delivered counts the messages received, in whatever order or state.
	Delivered uint64
	// Faults is what was wrong with what arrived. What did not arrive, Missing says.
	Faults Faults
	// Joined says that a probe of another connection has arrived.
	Joined bool
	// Pings counts what has to be answered with message.NATSPong; who answers resets it.
	Pings int
	// Short is how many messages of each short-lived sender have arrived in order.
	Short []uint32

	half  half
	order uint64 // of the messages of all senders that are not in half, as a sum
	gaps  []gap
}

// A half is some of the senders: from one number on, so many.
type half struct{ from, n uint32 }

// NewReceiver returns the receiver of a connection that sends as number self. The
// messages of senders 0 to senders-1 are due to it.
func NewReceiver(w *message.Wire, self uint32, senders int, rec *Recorder) *Receiver {
	r := &Receiver{wire: w, self: self, rec: rec, Next: make([]uint32, senders)}
	switch n := uint32(senders); {
	case self == message.Nobody:
	case self < n/2:
		r.half = half{0, n / 2}
	default:
		r.half = half{n / 2, n - n/2}
	}
	return r
}

// Take takes what was read at the time now, which begins with what earlier calls left
// over, and returns how much of it was understood; what is left over has to be at the
// beginning of the next call. The error is a stream that cannot be read on.
func (r *Receiver) Take(b []byte, now int64) (int, error) {
	if r.wire.Protocol == message.NATS {
		return r.takeNATS(b, now)
	}
	used := 0
	for {
		n, err := pdu.Next(b[used:], pdu.DefaultMaxLen)
		if n == 0 {
			return used, err
		}
		r.message(b[used:used+n:used+n], now)
		used += n
	}
}

// takeNATS takes the whole operations of NATS in b, and returns how many bytes they are.
func (r *Receiver) takeNATS(b []byte, now int64) (int, error) {
	used, size := 0, r.wire.Size()
	for {
		// Nearly always the line is the same as last time.
		if at := used + len(r.fixed); len(r.fixed) > 0 && len(b) >= at+size+2 &&
			bytes.Equal(b[used:at], r.fixed) && b[at+size] == '\r' && b[at+size+1] == '\n' {
			r.message(b[at:at+size:at+size], now)
			used = at + size + 2
			continue
		}
		op, n, err := message.NextNATS(b[used:])
		if n == 0 {
			return used, err
		}
		used += n
		switch op.Kind {
		case message.NATSPing:
			r.Pings++
		case message.NATSMsg:
			if len(op.Payload) == size {
				r.fixed = append(append(r.fixed[:0], op.Line...), '\r', '\n')
			}
			r.message(op.Payload, now)
		}
	}
}

// message takes one message.
func (r *Receiver) message(p []byte, now int64) {
	m, state := r.wire.Read(p)
	if state != message.Sound || m.Sender >= uint32(len(r.Next)) || m.Sender == r.self {
		r.special(p, m, state, now)
		return
	}
	r.accept(m, now)
}

// special takes what is not simply the message of another sender.
func (r *Receiver) special(p []byte, m message.Message, state message.State, now int64) {
	switch {
	case state == message.Foreign && len(p) >= pdu.HeaderLen && message.IsHeartbeat(p):
		return
	case state == message.Foreign:
		r.Faults.Foreign++
		return
	case state == message.Damaged:
		r.Faults.Damaged++
	}
	switch {
	case m.Sender == r.self:
		r.Faults.Echoed++
	case m.Sender < uint32(len(r.Next)):
		r.accept(m, now)
	case m.Sender == message.Probe:
		r.Joined = r.Joined || m.Seq != r.self
	case m.Sender >= message.FirstShort && m.Sender < message.FirstShort+maxShort:
		r.short(m)
	default:
		r.Faults.Foreign++
	}
}

// accept counts a message and looks whether it is the one whose turn it is.
func (r *Receiver) accept(m message.Message, now int64) {
	r.Delivered++
	if m.Sender-r.half.from >= r.half.n {
		r.order = (r.order ^ m.Key()) * 0x9e3779b97f4a7c15
	}
	if rec := r.rec; uint64(m.Due-rec.From) < uint64(rec.Span) {
		rec.Latency.Add(now - m.Due)
	}
	if next := &r.Next[m.Sender]; m.Seq == *next {
		*next++
	} else {
		r.outOfTurn(m)
	}
}

// Record has latencies recorded by rec from now on.
func (r *Receiver) Record(rec *Recorder) { r.rec = rec }

// maxShort is how many short-lived senders there may be: it bounds what a hub that
// makes up numbers can make of Short.
const maxShort = 1 << 20

// short takes a message of a short-lived sender. All its messages come in order, but
// its end may be missing.
func (r *Receiver) short(m message.Message) {
	i := m.Sender - message.FirstShort
	for i >= uint32(len(r.Short)) {
		r.Short = append(r.Short, 0)
	}
	switch next := &r.Short[i]; {
	case m.Seq == *next:
		*next++
	case m.Seq < *next:
		r.Faults.Duplicated++
	default:
		r.Faults.Lost += uint64(m.Seq - *next)
		*next = m.Seq + 1
	}
}
