package order

import (
	"bytes"
	"errors"
	"time"
)

// A hub that stays a member can continue in another process. The new process says under the same origin,
// with the next number, so what was under way must have the same numbers there: nothing may be
// said from Outbox.Export on in the old one.
//
//	old      numbered 7 8 9   waiting x y    Export ─┐
//	                                                 ▼
//	new      numbered 7 8 9   waiting x y    ContinueOutbox: 7 8 9 are said again, as the old process
//	                                         may have ended before its client had written them

// An OutboxState is an Outbox for another process.
type OutboxState struct {
	Origin   Origin
	Back     uint64      // the number of the first piece that is under way
	Numbered []ItemState // some pieces of the first one may have been read back
	Waiting  []ItemState
	Counts   Counts
}

// An ItemState is a record that was said.
type ItemState struct {
	Kind  Kind
	Bytes []byte
	// Ages are those of its pieces that are under way, since they were first appended. One that was not
	// appended has unsent.
	Ages []time.Duration
}

const unsent = -1

// Export returns the state of the outbox of a member, which is between Resume and Enter.
func (o *Outbox) Export(now time.Time) OutboxState {
	st := OutboxState{Origin: o.origin, Back: o.back, Counts: o.counts}
	var last *item
	for i := range o.numbered {
		p, age := &o.numbered[i], time.Duration(unsent)
		if !p.sentAt.IsZero() {
			age = now.Sub(p.sentAt)
		}
		if p.item != last {
			st.Numbered = append(st.Numbered, ItemState{Kind: p.kind, Bytes: bytes.Clone(p.bytes)})
			last = p.item
		}
		it := &st.Numbered[len(st.Numbered)-1]
		it.Ages = append(it.Ages, age)
	}
	for _, it := range o.waiting {
		st.Waiting = append(st.Waiting, ItemState{Kind: it.kind, Bytes: bytes.Clone(it.bytes)})
	}
	return st
}

// ContinueOutbox returns the outbox that continues from the state, and says again what is under way.
// Copies of that, which the log may hold already, are not a sign of a loss.
func ContinueOutbox(now time.Time, st OutboxState, window, queue int) (*Outbox, error) {
	o := NewOutbox(st.Origin.Hub, st.Origin.Incarnation, window, queue)
	o.held, o.counts, o.again.heard = false, st.Counts, now
	first := 0 // pieces of the first one that were read back; they have to be numbered as well
	if len(st.Numbered) > 0 {
		first = pieces(len(st.Numbered[0].Bytes)) - len(st.Numbered[0].Ages)
	}
	if first < 0 || uint64(first) > st.Back {
		return nil, errPieces
	}
	o.back = st.Back - uint64(first)
	for _, it := range st.Numbered {
		if err := o.numberAgain(now, it, first); err != nil {
			return nil, err
		}
		first = 0
	}
	o.numbered, o.back = o.numbered[st.Back-o.back:], st.Back
	for _, it := range st.Waiting {
		if len(it.Bytes) < headerLen {
			return nil, errCut
		}
		o.waiting = append(o.waiting, &item{kind: it.Kind, bytes: it.Bytes})
		o.waitingBytes += len(it.Bytes)
	}
	o.again.recover = o.back + uint64(len(o.numbered))
	return o, nil
}

var errPieces = errors.New("a record that is under way has other pieces")

// numberAgain gives a record the numbers that it had. Its first pieces were read back.
func (o *Outbox) numberAgain(now time.Time, it ItemState, first int) error {
	from := len(o.numbered) + first
	if len(it.Bytes) < headerLen || pieces(len(it.Bytes)) != first+len(it.Ages) {
		return errPieces
	}
	o.number(&item{kind: it.Kind, bytes: it.Bytes})
	for i, age := range it.Ages {
		if age != unsent {
			o.numbered[from+i].sentAt = now.Add(-age)
		}
	}
	return nil
}

// pieces returns into how many pieces a record of n bytes is numbered.
func pieces(n int) int {
	if n <= MaxRecord {
		return 1
	}
	return (n - headerLen + maxPiece - 1) / maxPiece
}

// A CensusState is a Census for another process.
type CensusState struct {
	Process uint64
	Others  map[uint16]Sighting
	Self    Origin
	Rival   *Sighting
	Bus     time.Time
	Silent  time.Duration // since then, by the hub's clock
	Ahead   time.Duration
}

// Export returns the state of the census.
func (c *Census) Export(now time.Time) CensusState {
	st := CensusState{Process: c.process, Others: make(map[uint16]Sighting, len(c.others)), Self: c.self, Rival: c.rival, Bus: c.bus, Silent: now.Sub(c.seen), Ahead: c.ahead}
	for hub, s := range c.others {
		st.Others[hub] = *s
	}
	return st
}

// ContinueCensus returns the census that continues from the state. The hub is the same process to the
// other hubs, so nobody takes the two processes for rivals.
func ContinueCensus(now time.Time, hub uint16, st CensusState) *Census {
	c := NewCensus(hub, st.Process)
	c.self, c.rival, c.bus, c.seen, c.ahead = st.Self, st.Rival, st.Bus, now.Add(-st.Silent), st.Ahead
	for number, s := range st.Others {
		c.others[number] = &s
	}
	return c
}
