package order

import "slices"

// Enter makes the hub say what follows under another incarnation, numbered from 1. What was under
// way about sessions waits, with all that is said about them, until Resume; what is not about
// sessions is forgotten. Before Resume, what the members have counted is taken out by Settle.
func (o *Outbox) Enter(incarnation uint32) {
	var under []*item
	for i := range o.numbered {
		p := &o.numbered[i]
		if !p.kind.ofSession() || !p.last() {
			continue
		}
		p.old, p.oldOrigin = o.back+uint64(i), o.origin
		under = append(under, p.item)
		o.waitingBytes += len(p.bytes)
	}
	o.waiting = slices.Concat(under, o.waiting)
	o.origin.Incarnation = incarnation
	o.numbered, o.back, o.cursor, o.inflight, o.held = nil, 1, 0, 0, true
	o.again = newAgain(o.window)
}

// Settle removes what was said before Enter and has counted, and returns it, the oldest first. There
// is some if the hub has missed a part of the log. The function nextOf is Members.NextOf of the state
// that the hub has imported. Settle is called between Enter and Resume.
func (o *Outbox) Settle(nextOf func(Origin) (next uint64, known bool)) []Record {
	return o.take(func(it *item) bool {
		next, known := nextOf(it.oldOrigin)
		return known && it.old < next && it.old > 0
	})
}

// Counted is called for a record of this hub that was said before Enter, and that counts although the
// hub asks to enter again. It is removed, as it has been read back.
func (o *Outbox) Counted(r *Record) {
	o.take(func(it *item) bool { return it.old == r.Number && it.oldOrigin == r.Origin })
}

// Resume says that what waits may be said.
func (o *Outbox) Resume() {
	o.held = false
	for _, it := range o.waiting {
		it.old = 0
	}
}

// TakeAll removes all records about sessions that are under way or wait, and returns them, the
// oldest first. The hub has to Enter before it says anything else.
func (o *Outbox) TakeAll() []Record {
	o.Enter(o.origin.Incarnation)
	return o.take(func(*item) bool { return true })
}

// take removes those that wait and are wanted, and returns them.
func (o *Outbox) take(wanted func(*item) bool) (records []Record) {
	o.waiting = slices.DeleteFunc(o.waiting, func(it *item) bool {
		if !wanted(it) {
			return false
		}
		r := Record{Kind: it.kind, Origin: it.oldOrigin, Number: it.old}
		_ = r.parseRest(it.bytes[headerLen:]) // it cannot fail, as this hub has written it
		records = append(records, r)
		o.waitingBytes -= len(it.bytes)
		return true
	})
	return records
}
