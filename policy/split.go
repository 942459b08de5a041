package policy

import (
	"cmp"
	"encoding/binary"
	"sync/atomic"

	"switchyard/pdu"
)

// A Unit is what a Split always assigns to one side as a whole.
type Unit uint8

const (
	UnitUser       Unit = iota // the user in the body; a PDU without a user is assigned by its connection
	UnitConnection             // the sender's connection
)

// UserFields holds, for each command, the number (1–31) of the body field with the user
// that a PDU concerns; 0 if there is none.
type UserFields [memoCommands]uint8

// A Split divides the PDUs of one tenant between two generations during a release: the
// stable one, which was in force before, and the candidate. The stages of a release share
// it; see NewStage. A Split serves one hub.
type Split struct {
	// Immutable once the first stage exists. The caller keeps both generations alive until the
	// last stage is released.
	Stable, Candidate *Generation
	Salt              uint64 // differs between releases, so that each starts with different units
	Unit              Unit
	Users             *UserFields // nil: every PDU is assigned by its connection
	Fuel              uint64      // limit for one decision

	rules   atomic.Pointer[Rules] // nil: the zero Rules
	tripped atomic.Uint32
	spent   atomic.Int64  // fuel of the quota that is used
	lowest  atomic.Uint64 // 1 + the lowest bucket of a connection that sent an affected PDU in shadow; 0: none
	least   atomic.Uint64 // lowest when the first stage after shadow was made; 0: none. It stays, as units below it have obeyed the candidate
	next    atomic.Uint64 // 1 + the lowest bucket of a unit that sent one and was on the stable side of a stage; 0: none
}

// Rules say which disagreements do not end the release. They may change while it is under way.
type Rules struct {
	Accept         map[pdu.CommandID]bool // commands for which the candidate may close the sender or handle PDUs differently
	TolerateFaults bool                   // a fault of the candidate is counted but does not trip the split
	TolerateCloses bool                   // the same for a close; the stable generation is obeyed
	Quota          int64                  // fuel that the generation that is not obeyed may use between two resets of its breaker; 0: unlimited
}

// SetRules replaces the rules from the next PDU on. The caller must not modify them afterwards.
func (s *Split) SetRules(r *Rules) { s.rules.Store(r) }

var noRules Rules

// Rules returns the rules in force.
func (s *Split) Rules() *Rules {
	if r := s.rules.Load(); r != nil {
		return r
	}
	return &noRules
}

// A Trip is the reason why a release ends.
type Trip uint32

const (
	NoTrip       Trip = iota
	TripFault         // the candidate failed on a PDU, and the stable generation did not
	TripClose         // the candidate closes the sender, and the stable generation does not
	TripPresence      // only one of them handles the PDU as a change of presence
	TripBudget        // a budget is exceeded; set by the code that watches the budgets
	TripStopped       // the operator ended the release
)

// Trips holds the name of every Trip, indexed by it.
var Trips = [...]string{"", "fault", "close", "presence", "budget", "stopped"}

func (t Trip) String() string { return Trips[t] }

// After Trip, every stage obeys the stable generation from the next PDU on. If Trip is
// called again, the first reason is kept.
func (s *Split) Trip(why Trip) { s.tripped.CompareAndSwap(uint32(NoTrip), uint32(why)) }

// Tripped returns the reason given to Trip, or NoTrip.
func (s *Split) Tripped() Trip { return Trip(s.tripped.Load()) }

// resetQuota makes the whole quota of fuel available again.
func (s *Split) resetQuota() { s.spent.Store(0) }

// hasQuota reports whether the generation that is not obeyed may be called.
func (s *Split) hasQuota() bool {
	quota := s.Rules().Quota
	return quota == 0 || s.spent.Load() < quota
}

// key returns the number of the PDU's unit.
func (s *Split) key(p []byte, connection uint64) uint64 {
	if s.Unit != UnitUser || s.Users == nil {
		return connection
	}
	command := pdu.ParseHeader(p).Command
	if int(command) >= len(s.Users) || s.Users[command] == 0 {
		return connection
	}
	if user, found := varintField(p[pdu.HeaderLen:], s.Users[command]); found {
		return user
	}
	return connection
}

// bucket maps the unit to a number below 1<<32. A unit is on the candidate's side if its
// bucket is below share × 1<<32.
func (s *Split) bucket(key uint64) uint64 {
	x := s.Salt ^ key // the rest is the finalizer of SplitMix64
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return uint64(uint32(x ^ x>>31))
}

// noteConnection records the lowest bucket of any connection, see Split.threshold.
func (s *Split) noteConnection(connection uint64) { lower(&s.lowest, 1+s.bucket(connection)) }

// lower sets the place to a smaller one; 0 is none.
func lower(to *atomic.Uint64, place uint64) {
	for {
		lowest := to.Load()
		if lowest != 0 && lowest <= place || to.CompareAndSwap(lowest, place) {
			return
		}
	}
}

// NextUnitAt returns the least share at which another unit obeys the candidate, of those that have sent
// an affected PDU in a stage and were on the stable generation's side; 0 if there was none.
func (s *Split) NextUnitAt() float64 { return float64(s.next.Load()) / (1 << 32) }

// threshold returns the bucket below which units are on the candidate's side. With few
// connections, a share may select none of them, so it is raised to include the lowest one
// that the release affects. It never falls from one stage to the next.
func (s *Split) threshold(share float64) uint64 {
	below := toBucket(share)
	if s.Unit == UnitConnection && below > 0 {
		s.least.CompareAndSwap(0, s.lowest.Load())
		below = max(below, s.least.Load())
	}
	return below
}

func toBucket(share float64) uint64 { return uint64(min(max(share, 0), 1) * (1 << 32)) }

// LeastShare returns the share to which smaller ones are raised if the units are connections, or 0.
// It is exact, so that a Split made later for the same release divides the units alike, see GoOn.
func (s *Split) LeastShare() float64 {
	return float64(cmp.Or(s.least.Load(), s.lowest.Load())) / (1 << 32)
}

// GoOn takes the LeastShare of an earlier Split of the release. It must be called before the first
// stage exists.
func (s *Split) GoOn(leastShare float64) { s.lowest.Store(toBucket(leastShare)) }

// ConnectionKey returns the number of a connection as a unit. It depends only on the peer's
// identity, so that a peer stays on its side when it reconnects.
func ConnectionKey(identity string) uint64 {
	key := uint64(0xcbf29ce484222325) // FNV-1a
	for i := range len(identity) {
		key = (key ^ uint64(identity[i])) * 0x100000001b3
	}
	return key
}

// maxSkipped bounds how many fields are skipped before the user's, because an attacker
// chooses their number.
const maxSkipped = 32

// varintField returns the first value of the body's varint field with the given number,
// truncated to the 32 bits of a user id. It stops at that field, or after maxSkipped others.
func varintField(body []byte, number uint8) (value uint64, found bool) {
	if len(body) > 1 && body[0] == number<<3 && number < 16 { // at the start, as in most messages
		value, n := binary.Uvarint(body[1:])
		return uint64(uint32(value)), n > 0
	}
	for range maxSkipped {
		tag, n := binary.Uvarint(body)
		if n <= 0 || tag < 8 { // field 0 does not exist
			return 0, false
		}
		body = body[n:]
		size := uint64(0)
		switch tag & 7 {
		case 0:
			if value, n = binary.Uvarint(body); n <= 0 {
				return 0, false
			}
			if tag>>3 == uint64(number) {
				return uint64(uint32(value)), true
			}
			size = uint64(n)
		case 1:
			size = 8
		case 2:
			if size, n = binary.Uvarint(body); n <= 0 {
				return 0, false
			}
			body = body[n:]
		case 5:
			size = 4
		default:
			return 0, false
		}
		if size > uint64(len(body)) {
			return 0, false
		}
		body = body[size:]
	}
	return 0, false
}
