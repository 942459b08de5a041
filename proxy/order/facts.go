package order

import (
	"encoding/binary"
	"errors"
)

// Facts, all integers big-endian:
//
//	length 2                          of what follows
//	formats 1 + 1, rules 1 + 1        least, most
//	flags 1                           1: entering, 2: check
//	process 8
//	epoch 8, sequence 8, sum 8        table
//	policies 1, 8 for each
//	name 1, …
//	…                                 what a later release has added

// Facts are what a hub says about itself.
type Facts struct {
	Formats  Range    // of records that it can read and write
	Rules    Range    // that it can follow
	Process  uint64   // drawn once by each process
	Entering bool     // it does not have the tenant's state yet, so it cannot be the donor
	Check    bool     // Beat: all who read it take the sum of their table as of here
	Table    TableSum // of its user table
	Policies []uint64 // sums of the policies in force, at most 16
	Name     string   // of the hub, for people; at most 64 bytes

	// What a later release has added. Who does not know it passes it on as it came, in the state that
	// a donor sends, so that hubs of the later release decide the same whoever their donor was.
	LaterFlags byte
	Later      string
}

// A Range is what a hub knows of something that has versions: those from Least to Most.
type Range struct{ Least, Most uint8 }

// Includes reports whether all of s is in r.
func (r Range) Includes(s Range) bool { return r.Least <= s.Least && s.Most <= r.Most }

// overlap returns what is in both ranges, and false if nothing is.
func (r Range) overlap(s Range) (Range, bool) {
	both := Range{max(r.Least, s.Least), min(r.Most, s.Most)}
	return both, both.Least <= both.Most
}

// A TableSum is the sum of a user table as of a position.
type TableSum struct {
	Position
	Sum uint64
}

const (
	maxPolicies = 16
	maxName     = 64
	factsLen    = 4 + 1 + 8 + positionLen + 8 + 1 + 1 // without its length, policies and name

	flagEntering = 1
	flagCheck    = 2
	flagsOfFacts = flagEntering | flagCheck
)

// append appends the facts as the comment above lays them out. A name and policies beyond the most that a
// reader takes are left out.
func (f *Facts) append(dst []byte) []byte {
	name, policies := f.Name[:min(len(f.Name), maxName)], f.Policies[:min(len(f.Policies), maxPolicies)]
	dst = binary.BigEndian.AppendUint16(dst, uint16(factsLen+8*len(policies)+len(name)+len(f.Later)))
	dst = append(dst, f.Formats.Least, f.Formats.Most, f.Rules.Least, f.Rules.Most, f.LaterFlags|Flags(f.Entering, f.Check))
	dst = binary.BigEndian.AppendUint64(dst, f.Process)
	dst = appendPosition(dst, f.Table.Position)
	dst = binary.BigEndian.AppendUint64(dst, f.Table.Sum)
	dst = append(dst, byte(len(policies)))
	for _, sum := range policies {
		dst = binary.BigEndian.AppendUint64(dst, sum)
	}
	return append(append(append(dst, byte(len(name))), name...), f.Later...)
}

// parse parses facts, which end with b.
func (f *Facts) parse(b []byte) error {
	if len(b) < 2 || int(binary.BigEndian.Uint16(b)) < factsLen || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
		return errCut
	}
	if len(b)-2 > int(binary.BigEndian.Uint16(b)) {
		return errMore
	}
	b = b[2:]
	*f = Facts{Formats: Range{b[0], b[1]}, Rules: Range{b[2], b[3]}, Entering: b[4]&flagEntering != 0, Check: b[4]&flagCheck != 0,
		LaterFlags: b[4] &^ flagsOfFacts, Process: binary.BigEndian.Uint64(b[5:])}
	f.Table = TableSum{parsePosition(b[13:]), binary.BigEndian.Uint64(b[29:])}
	if f.Formats.Least > f.Formats.Most || f.Rules.Least > f.Rules.Most {
		return errors.New("a range of formats or rules is empty")
	}
	n := int(b[37])
	if b = b[38:]; n > maxPolicies || len(b) < 8*n+1 {
		return errCut
	}
	for ; n > 0; n-- {
		f.Policies, b = append(f.Policies, binary.BigEndian.Uint64(b)), b[8:]
	}
	if n = int(b[0]); n > maxName || len(b) < 1+n {
		return errCut
	}
	f.Name, f.Later = string(b[1:1+n]), string(b[1+n:])
	return nil
}
