package order

import "slices"

// Enter makes the hub say what follows under another incarnation, numbered from 1. What was under
// way about sessions waits, with all that is said about them, until Resume; what is not about
// sessions is forgotten. Before Resume, what others may have counted is taken out by Settle.
func (o *Outbox) Enter(incarnation uint32) {
	var under []*item
	for i := range o.numbered {
		p := &o.numbered[i]
		if !p.kind.ofSession() || p.first || !p.last() {
			continue
		}
		p.old = o.back + uint64(i)
		under = append(under, p.item)
		o.waitingBytes += len(p.bytes)
		o.previous = o.origin
	}
	o.waiting = slices.Concat(under, o.waiting)
	o.origin = Origin{o.origin.Hub, incarnation}
	o.numbered, o.back, o.cursor, o.inflight, o.held = nil, 1, 0, 0, true
	o.again = newAgain(o.window)
}

// Previous returns the origin under which what waits to be said anew had its numbers.
func (o *Outbox) Previous() Origin { return o.previous }

// Settle removes what had a number below next under Previous, because the members have counted it,
// and returns it, the oldest first. It is called between Enter and Resume.
func (o *Outbox) Settle(next uint64) []Record {
	n := 0
	for n < len(o.waiting) && o.waiting[n].old != 0 && o.waiting[n].old < next {
		n++
	}
	return o.take(n)
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
	return o.take(len(o.waiting))
}

// take removes the first n of those that wait, and returns them.
func (o *Outbox) take(n int) []Record {
	records := make([]Record, n)
	for i, it := range o.waiting[:n] {
		r := &records[i]
		r.Kind, r.Origin, r.Number = it.kind, o.previous, it.old
		_ = r.parseSession(it.bytes[headerLen:]) // it cannot fail, as this hub has written it
		o.waitingBytes -= len(it.bytes)
	}
	o.waiting = slices.Clone(o.waiting[n:])
	return records
}
