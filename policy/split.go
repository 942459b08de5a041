package policy

import (
	"encoding/binary"
	"sync/atomic"

	"switchyard/pdu"
)

// A Unit says what always stays on one side of a Split.
type Unit uint8

const (
	UnitUser       Unit = iota // the user in the body; a PDU without one goes by its connection
	UnitConnection             // the sender's connection
)

// UserFields has for each command the number of the body field, 1–31, that holds the user
// whom a PDU is about; 0 if there is none.
type UserFields [memoCommands]uint8

// A Split divides the PDUs of one tenant between two generations during a release: the
// stable one, which was in force before, and the candidate. The stages of a release share
// it; see NewStage. It judges for one hub.
type Split struct {
	// Static from the first stage on. The caller keeps both generations until the last
	// stage is released.
	Stable, Candidate *Generation
	Salt              uint64 // differs between releases, so that each has other units first
	Unit              Unit
	Users             *UserFields            // nil: every PDU goes by its connection
	Accept            map[pdu.CommandID]bool // commands that the candidate may close on or handle differently
	TolerateFaults    bool                   // a fault of the candidate is counted, and trips nothing
	Fuel              uint64                 // that a decision may use
	Quota             int64                  // fuel that the generation not obeyed may use between two resets of its breaker; 0: any

	tripped atomic.Uint32
	spent   atomic.Int64  // of Quota
	lowest  atomic.Uint64 // 1 + the lowest bucket of a connection that sent an affected PDU in shadow; 0: none
}

// A Trip says why a release ends.
type Trip uint32

const (
	NoTrip       Trip = iota
	TripFault         // the candidate failed about a PDU, and the stable generation did not
	TripClose         // it closes the sender, and the stable generation does not
	TripPresence      // only one of them handles the PDU as a change of who is present
	TripBudget        // a budget is exceeded; set by the code that watches the budgets
	TripStopped       // the operator ends the release
)

// Trips holds the name of every Trip, indexed by it.
var Trips = [...]string{"", "fault", "close", "presence", "budget", "stopped"}

func (t Trip) String() string { return Trips[t] }

// Trip makes the stable generation obeyed from the next PDU on, in every stage. The first
// reason counts.
func (s *Split) Trip(why Trip) { s.tripped.CompareAndSwap(uint32(NoTrip), uint32(why)) }

// Tripped returns why the release ends, or NoTrip.
func (s *Split) Tripped() Trip { return Trip(s.tripped.Load()) }

// resetQuota lets the generation that is not obeyed use the quota of fuel again.
func (s *Split) resetQuota() { s.spent.Store(0) }

// hasQuota reports whether the generation that is not obeyed may be called.
func (s *Split) hasQuota() bool { return s.Quota == 0 || s.spent.Load() < s.Quota }

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

// bucket returns where the unit lies among all units, which a share divides: a unit is on
// the candidate's side if its bucket is below the share of 1<<32.
func (s *Split) bucket(key uint64) uint64 {
	x := s.Salt ^ key // the rest is the finalizer of SplitMix64
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return uint64(uint32(x ^ x>>31))
}

// noteConnection remembers the lowest bucket of a connection, see Split.threshold.
func (s *Split) noteConnection(connection uint64) {
	place := 1 + s.bucket(connection)
	for {
		lowest := s.lowest.Load()
		if lowest != 0 && lowest <= place || s.lowest.CompareAndSwap(lowest, place) {
			return
		}
	}
}

// threshold returns below which bucket units are on the candidate's side. A share of few
// connections may be less than one of them, so it is raised to the lowest one that the
// release affects.
func (s *Split) threshold(share float64) uint64 {
	below := uint64(min(max(share, 0), 1) * (1 << 32))
	if s.Unit == UnitConnection && below > 0 {
		below = max(below, s.lowest.Load())
	}
	return below
}

// ConnectionKey returns the number of a connection as a unit. It depends on nothing but the
// peer's identity, so that a peer that reconnects stays on its side.
func ConnectionKey(identity string) uint64 {
	key := uint64(0xcbf29ce484222325) // FNV-1a
	for i := range len(identity) {
		key = (key ^ uint64(identity[i])) * 0x100000001b3
	}
	return key
}

// maxSkipped is how many fields of a body may be before the user's: an attacker chooses them.
const maxSkipped = 32

// varintField returns the first value of the body's varint field with that number, as the
// 32 bits of a user id. It reads no further than that, and gives up after maxSkipped fields.
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
