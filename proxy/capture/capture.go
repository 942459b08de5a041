// Package capture records what a hub receives as pcapng, bounded, and reads it back.
// It decides nothing and changes nothing of what it sees.
//
// A capture is a section with an interface for each tenant. Each packet is of the
// link type WIRESHARK_UPPER_PDU, so that Wireshark hands it to the dissector that it
// names, deploy/wireshark/teamtalk.lua, without being told. All of it is big-endian:
//
//	offset  size  content
//	     0     2  tag 12: a dissector's name
//	     2     2  12
//	     4    12  "switchyard", and two zero bytes
//	    16     4  zero: the end of the tags
//	    20     1  version, 1
//	    21     1  kind: 0 PDU, 1 joined, 2 left
//	    22     1  flags: 1 known, 2 redacted, 4 master
//	    23     1  fault: 0 none, else its place in policy.FaultKinds, from 1
//	    24     4  zero
//	    28     8  the session's number
//	    36     8  the verdict
//	    44     8  the first bytes of the SHA-256 of the policy's module
//	    52        the PDU, or as much of it as was kept
//
// Comments say verdict and fault in words, drop counts what was missed, and the
// filter of an interface what was asked for (Tenant).
package capture

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
)

// A Kind says what a Record tells of.
type Kind uint8

const (
	PDU    Kind = iota // what a peer said
	Joined             // a session began
	Left               // it ended
)

// A Record is one packet of a capture.
type Record struct {
	Tenant  int // in Tenants of the Reader
	Time    time.Time
	Missed  uint64 // records before this one, of the same tenant, that there was no room for
	Kind    Kind
	Session uint64

	// Known marks what the hub knew already when the capture began: a session that
	// had joined, and PDUs that were not said then but tell which users it holds.
	Known    bool
	Redacted bool // values in the body were zeroed
	Master   bool // of Joined: the peer has declared itself master

	// Of PDUs.
	Verdict policy.Verdict
	Fault   policy.FaultKind // how the policy failed to decide; empty if it did not
	Policy  [8]byte          // the first bytes of the SHA-256 of the policy's module
	PDU     []byte           // the header and what was kept of the body
	Length  int              // of the whole PDU in bytes
}

// Whole reports whether all of the PDU was kept.
func (r *Record) Whole() bool { return len(r.PDU) == r.Length }

const (
	prefix    = "\x00\x0c\x00\x0cswitchyard\x00\x00\x00\x00\x00\x00"
	infoLen   = 32
	overhead  = len(prefix) + infoLen
	maxPacket = 256 << 10 // Wireshark refuses a file with a larger one

	// MaxKept is how much of a PDU is kept at most, in bytes.
	MaxKept = maxPacket - overhead

	infoVersion = 1
)

const (
	flagKnown = 1 << iota
	flagRedacted
	flagMaster
)

// appendInfo appends what stands before the PDU.
func (r *Record) appendInfo(b []byte) []byte {
	var flags byte
	if r.Known {
		flags |= flagKnown
	}
	if r.Redacted {
		flags |= flagRedacted
	}
	if r.Master {
		flags |= flagMaster
	}
	fault := 1 + slices.Index(policy.FaultKinds[:], r.Fault)
	b = append(b, prefix...)
	b = append(b, infoVersion, byte(r.Kind), flags, byte(fault), 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, r.Session)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Verdict))
	return append(b, r.Policy[:]...)
}

// parse takes in a packet, of which length bytes were on the wire.
func (r *Record) parse(packet []byte, length uint32) error {
	if len(packet) < overhead {
		return fmt.Errorf("a packet of %d bytes, where a record has at least %d", len(packet), overhead)
	}
	if string(packet[:len(prefix)]) != prefix {
		return fmt.Errorf("a packet that is no record of Switchyard's: it begins with %x", packet[:len(prefix)])
	}
	info := packet[len(prefix):overhead]
	if info[0] != infoVersion {
		return fmt.Errorf("a record of version %d; this Switchyard reads version %d", info[0], infoVersion)
	}
	if info[1] > byte(Left) {
		return fmt.Errorf("a record of the unknown kind %d", info[1])
	}
	if int(info[3]) > len(policy.FaultKinds) {
		return fmt.Errorf("a record with the unknown fault %d", info[3])
	}
	r.Kind, r.Fault = Kind(info[1]), ""
	r.Known, r.Redacted, r.Master = info[2]&flagKnown != 0, info[2]&flagRedacted != 0, info[2]&flagMaster != 0
	if info[3] > 0 {
		r.Fault = policy.FaultKinds[info[3]-1]
	}
	r.Session = binary.BigEndian.Uint64(info[8:])
	r.Verdict = policy.Verdict(binary.BigEndian.Uint64(info[16:]))
	copy(r.Policy[:], info[24:])
	r.PDU, r.Length = packet[overhead:], int(length)-overhead
	return r.check()
}

// check finds what no hub lets through.
func (r *Record) check() error {
	switch {
	case r.Kind != PDU && r.Length == 0 && len(r.PDU) == 0:
		r.PDU = nil
		return nil
	case r.Kind != PDU:
		return fmt.Errorf("%d bytes behind a record that is of no PDU", r.Length)
	case len(r.PDU) > r.Length:
		return fmt.Errorf("%d bytes were kept of a PDU of %d", len(r.PDU), r.Length)
	case len(r.PDU) < pdu.HeaderLen:
		return fmt.Errorf("%d bytes were kept of a PDU, where its header has %d", len(r.PDU), pdu.HeaderLen)
	}
	if claimed := pdu.ParseHeader(r.PDU).Length; int64(claimed) != int64(r.Length) {
		return fmt.Errorf("a PDU of %d bytes whose header says %d", r.Length, claimed)
	}
	return nil
}

// comment says in words what happened.
func (r *Record) comment() string {
	known := ""
	if r.Known {
		known = "; known before the capture began"
	}
	switch {
	case r.Kind == Joined:
		return "the peer joins" + known
	case r.Kind == Left:
		return "the peer leaves"
	case r.Known:
		return "users of the peer" + known
	case r.Fault != "":
		return r.Verdict.String() + "; the policy failed: " + string(r.Fault)
	}
	return r.Verdict.String()
}
