// Package order is what the hubs of one tenant say to each other, and which of it counts. All hubs
// read one log of records in one order, so that each decides the same about every record. The
// package starts no goroutines, reads no clock and knows no engine: records, positions and times are
// handed in.
//
//	said by hub a ─► Outbox ─► log:  a17  b4  a18  b5  b5  a20 ─► Members ─► a17  b4  a18  b5
//	                   ▲                                   │ ▲            (the same at every hub)
//	                   └────── read back, or a gap: say ◄──┘ └ ignored: doubled, a gap
//	                           again from a19
package order

import (
	"cmp"
	"time"
)

// Format is the format of records that this release writes, and the only one that it reads.
const Format = 1

// An Origin is one stay of a hub among the members. The incarnation is drawn again whenever the hub
// enters.
type Origin struct {
	Hub         uint16 // 1 to 4095
	Incarnation uint32
}

// A Position is a place in a log. Another epoch is another log, in which sequence numbers begin
// again.
type Position struct {
	Epoch    int64 // when the log was created, in ns since 1970 by the engine's clock
	Sequence uint64
}

// Before reports whether p is a place before q in the same log.
func (p Position) Before(q Position) bool { return p.Epoch == q.Epoch && p.Sequence < q.Sequence }

// An Entry is a record at its place in the log.
type Entry struct {
	Position
	At     time.Time // when the engine took it, by the engine's clock
	Record []byte
}

// compareOrigins orders origins by hub number, then by incarnation.
func compareOrigins(a, b Origin) int {
	return cmp.Or(cmp.Compare(a.Hub, b.Hub), cmp.Compare(a.Incarnation, b.Incarnation))
}
