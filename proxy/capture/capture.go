// Package capture records what hubs receive as pcapng files, in bounded memory and without
// delaying a hub, and reads such files.
//
//	recording  hub ──▶ tap.go ──▶ buffer ──▶ record.go, known.go ──▶ write.go ──▶ file
//	                                 └─────▶ watch.go ──▶ a viewer
//	reading    file ──▶ block.go ──▶ read.go ──▶ Record
//
// A capture is a pcapng section with an interface for each tenant. Its packets have the
// link type WIRESHARK_UPPER_PDU and name the dissector deploy/wireshark/teamtalk.lua, so
// Wireshark needs no configuration to decode them. Numbers are big-endian:
//
//	offset  size  content
//	     0     2  tag 12: the dissector's name
//	     2     2  12
//	     4    12  "switchyard", and two zero bytes
//	    16     4  zero: the end of the tags
//	    20     1  version, 1
//	    21     1  kind: 0 PDU, 1 joined, 2 left, 3 grouped
//	    22     1  flags: 1 known, 2 redacted, 4 master, 8 muted
//	    23     1  fault: 0 none, else its index in policy.FaultKinds plus 1
//	    24     4  the checksum of the group that gets a copy as well, 0 for none
//	    28     8  number of the session
//	    36     8  the verdict, as withSums in groups.go returns it
//	    44     8  the first bytes of the SHA-256 of the policy's module
//	    52        the PDU, or its beginning if it was not kept whole; of the kind
//	              grouped, the names of the groups with commas between them
//
// A reader refuses kinds that it does not know. There are records of the kind grouped only
// where the tenant has groups.
//
// The comment of a packet has the verdict and the fault in words, its drop count has the
// records missed before it, and the filter of an interface has what was to be recorded
// (Tenant).
package capture

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/proxy/hub"
)

// A Kind is the kind of event that a Record stands for.
type Kind uint8

const (
	PDU     Kind = iota // a peer sent a PDU
	Joined              // a session began; its peer is in no group
	Left                // a session ended
	Grouped             // the peer of a session is in other groups from now on
)

// A Record is one packet of a capture.
type Record struct {
	Tenant  int // in Tenants of the Reader
	Time    time.Time
	Missed  uint64 // records of the tenant that were dropped before this one, for lack of room
	Session uint64
	Kind    Kind

	// Known marks the state of the hub when the capture began: sessions that had joined
	// before, the groups of their peers, and PDUs made up to say which users they hold.
	Known    bool
	Redacted bool // values in the body were zeroed
	Master   bool // of Joined: the peer has declared itself master

	Membership *hub.Membership // of Grouped; nil: in no group

	// Only of a PDU.
	Verdict policy.Verdict
	Fault   policy.FaultKind // how the policy failed to decide; empty if it did not
	Policy  [8]byte          // the first bytes of the SHA-256 of the policy's module
	PDU     []byte           // the header, and as much of the body as was kept
	Length  int              // of the whole PDU, in bytes
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
	flagMuted
)

// appendInfo appends what precedes the PDU in a packet.
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
	if r.Membership != nil && r.Membership.Muted {
		flags |= flagMuted
	}
	fault := 1 + slices.Index(policy.FaultKinds[:], r.Fault)
	b = append(b, prefix...)
	b = append(b, infoVersion, byte(r.Kind), flags, byte(fault))
	verdict, also := withSums(r.Verdict)
	b = binary.BigEndian.AppendUint32(b, also)
	b = binary.BigEndian.AppendUint64(b, r.Session)
	b = binary.BigEndian.AppendUint64(b, verdict)
	return append(b, r.Policy[:]...)
}

// parse parses a packet, whose original length is given.
func (r *Record) parse(packet []byte, length uint32) error {
	if len(packet) < overhead {
		return fmt.Errorf("a packet of %d bytes, where a record has at least %d", len(packet), overhead)
	}
	if string(packet[:len(prefix)]) != prefix {
		return fmt.Errorf("a packet that is not a record of Switchyard's: it begins with %x", packet[:len(prefix)])
	}
	info := packet[len(prefix):overhead]
	if info[0] != infoVersion {
		return fmt.Errorf("a record of version %d; this Switchyard reads version %d", info[0], infoVersion)
	}
	if info[1] > byte(Grouped) {
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
	r.Verdict = fromSums(binary.BigEndian.Uint64(info[16:]), binary.BigEndian.Uint32(info[4:]))
	copy(r.Policy[:], info[24:])
	r.PDU, r.Length = packet[overhead:], int(length)-overhead
	if r.Kind == Grouped {
		return r.parseGroups(info[2]&flagMuted != 0)
	}
	return r.check()
}

// check refuses what no hub can have received.
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

// comment describes the record in words, for readers in Wireshark.
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
	case r.Kind == Grouped:
		return r.groupsComment() + known
	case r.Known:
		return "users of the peer" + known
	case r.Fault != "":
		return r.Verdict.String() + "; the policy failed: " + string(r.Fault)
	}
	return r.Verdict.String()
}
