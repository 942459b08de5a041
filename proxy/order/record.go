package order

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"switchyard/pdu"
	"switchyard/policy"
)

// A record, all integers big-endian. The header is the same in all formats:
//
//	format 1, kind 1, hub 2, incarnation 4, number 8        all kinds
//	session 8                                               batch, joined, left
//	source 8, users 4, flags 1                              joined: see Link
//	verdict 8, PDUs 4, bytes 4, users 4, peer users 4, …    each run of a batch; … are its bytes;
//	                                                        groups.go says how groups are named
//	left 4, …                                               part; … is the piece
//	hub 2, incarnation 4                                    gone
//	epoch 8, sequence 8                                     enter, found
//	facts                                                   enter, found, beat; see facts.go

// A Kind says what a record is about.
type Kind uint8

// The kinds of records.
const (
	Batch  Kind = iota + 1 // PDUs that a session sent, with their verdicts
	Joined                 // a session takes part from here on
	Left                   // a session has ended
	Part                   // a piece of a batch that is too long for one record
	Beat                   // the hub lives; what it knows
	Enter                  // the hub wants to be a member, and needs the state as of here
	Found                  // the tenant begins again here, with this hub as its only member
	Gone                   // a hub is no longer a member
)

var kinds = [...]string{"", "batch", "joined", "left", "part", "beat", "enter", "found", "gone"}

func (k Kind) String() string {
	if int(k) < len(kinds) && k > 0 {
		return kinds[k]
	}
	return fmt.Sprintf("kind-%d", uint8(k))
}

// ofSession reports whether records of this kind are about a session. The tenant's state follows
// from these; the others are between the hubs.
func (k Kind) ofSession() bool { return k == Batch || k == Joined || k == Left }

const (
	// MaxRecord is the largest length of a record in bytes.
	MaxRecord = 256 << 10

	headerLen   = 16
	sessionLen  = 8
	linkLen     = 13
	runLen      = 24
	partLen     = 4
	originLen   = 6
	positionLen = 16

	maxPiece = MaxRecord - headerLen - partLen
)

// A Record is what a hub says to all hubs, itself included. The slices of a parsed record alias the
// parsed bytes.
type Record struct {
	Kind Kind
	Origin
	Number uint64 // of this origin: 1, 2, 3 …

	Session uint64 // Batch, Joined, Left
	Runs    []Run  // Batch
	Link    Link   // Joined

	Piece []byte // Part: of the batch, from its session on
	Left  uint32 // Part: how many bytes of the batch follow in further parts

	About Origin   // Gone: who is gone
	After Position // Enter: the last position that its author had read. Found: that of its author's Enter
	Facts Facts    // Enter, Found, Beat
}

// A Link says by what the hubs know a session that belongs to the same peer as another one.
type Link struct {
	Source    uint64 // stands for the address or the certificate of the peer
	Users     uint32 // that the peer has reported before the session joined; they are announced next
	TakesOver bool   // the users that the session announces first are taken from the one that it replaces
	Again     bool   // it has announced users before; its hub has entered again since
	Replaced  bool   // another session has taken its users
}

const (
	flagTakesOver = 1 << iota
	flagAgain
	flagReplaced
)

func (l *Link) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(dst, l.Source), l.Users)
	return append(dst, Flags(l.TakesOver, l.Again, l.Replaced))
}

// Flags returns a byte whose bit n is set if the n-th of these is true, from 0. The order is that of the
// format in which the byte is.
func Flags(set ...bool) (flags byte) {
	for n, is := range set {
		if is {
			flags |= 1 << n
		}
	}
	return flags
}

func parseLink(b []byte) (Link, error) {
	flags := b[12]
	if flags >= flagReplaced<<1 {
		return Link{}, errFlag
	}
	return Link{binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:]), flags&flagTakesOver != 0, flags&flagAgain != 0, flags&flagReplaced != 0}, nil
}

// A Run is one or more neighbouring PDUs of a batch with one verdict.
type Run struct {
	Verdict   policy.Verdict
	PDUs      uint32
	Users     uint32 // the limits of the origin: users of the tenant, or 0 if the run asks for none
	PeerUsers uint32 // and of one peer
	Bytes     []byte // PDUs whole PDUs
}

// Append appends the record to dst. Its length is that of Parse if it is at most MaxRecord.
func (r *Record) Append(dst []byte) []byte {
	dst = r.appendHeader(dst)
	switch r.Kind {
	case Batch, Joined, Left:
		return r.appendSession(dst)
	case Part:
		return append(binary.BigEndian.AppendUint32(dst, r.Left), r.Piece...)
	case Gone:
		return appendOrigin(dst, r.About)
	case Enter, Found:
		return r.Facts.append(appendPosition(dst, r.After))
	case Beat:
		return r.Facts.append(dst)
	}
	return dst
}

func (r *Record) appendHeader(dst []byte) []byte {
	dst = appendOrigin(append(dst, Format, byte(r.Kind)), r.Origin)
	return binary.BigEndian.AppendUint64(dst, r.Number)
}

// appendSession appends what follows the header of a record about a session.
func (r *Record) appendSession(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, r.Session)
	if r.Kind == Joined {
		return r.Link.append(dst)
	}
	for i := range r.Runs {
		run := &r.Runs[i]
		verdict, users, peerUsers := run.onWire()
		dst = binary.BigEndian.AppendUint64(dst, uint64(verdict))
		dst = binary.BigEndian.AppendUint32(dst, run.PDUs)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(run.Bytes)))
		dst = binary.BigEndian.AppendUint32(dst, users)
		dst = binary.BigEndian.AppendUint32(dst, peerUsers)
		dst = append(dst, run.Bytes...)
	}
	return dst
}

func appendOrigin(dst []byte, o Origin) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(dst, o.Hub), o.Incarnation)
}

func appendPosition(dst []byte, p Position) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, uint64(p.Epoch)), p.Sequence)
}

// ErrFormat is the error of Parse about a record of another format. It returns the header.
var ErrFormat = errors.New("the record has another format than 1")

var (
	errCut  = errors.New("the record is cut off")
	errMore = errors.New("bytes follow the record")
	errFlag = errors.New("a flag is unknown")
	errLong = fmt.Errorf("the record is longer than %d bytes", MaxRecord)
)

// Parse returns the record that b is. It trusts nothing: what it returns is whole, and so are the
// PDUs of its runs.
func Parse(b []byte) (Record, error) {
	if len(b) > MaxRecord {
		return Record{}, errLong
	}
	if len(b) < headerLen {
		return Record{}, errCut
	}
	r := Record{Kind: Kind(b[1]), Number: binary.BigEndian.Uint64(b[8:])}
	r.Origin = parseOrigin(b[2:])
	if r.Hub == 0 || r.Hub > maxHub || r.Number == 0 {
		return Record{}, errors.New("the record has no hub or no number")
	}
	if b[0] != Format {
		return r, ErrFormat
	}
	if err := r.parseRest(b[headerLen:]); err != nil {
		return Record{}, fmt.Errorf("%s %d of hub %d: %w", r.Kind, r.Number, r.Hub, err)
	}
	return r, nil
}

// leastLen holds how many bytes follow the header at least, by Kind.
var leastLen = [...]int{Batch: sessionLen, Joined: sessionLen + linkLen, Left: sessionLen, Part: partLen + 1, Beat: 2, Enter: positionLen, Found: positionLen, Gone: originLen}

func parseOrigin(b []byte) Origin {
	return Origin{binary.BigEndian.Uint16(b), binary.BigEndian.Uint32(b[2:])}
}

func parsePosition(b []byte) Position {
	return Position{int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint64(b[8:])}
}

// parseRest parses what follows the header.
func (r *Record) parseRest(b []byte) (err error) {
	switch {
	case r.Kind == 0 || int(r.Kind) >= len(kinds):
		return errors.New("the kind is unknown")
	case len(b) < leastLen[r.Kind]:
		return errCut
	}
	switch r.Kind {
	case Batch:
		return r.parseSession(b)
	case Joined:
		if r.Link, err = parseLink(b[sessionLen:]); err != nil {
			return err
		}
		r.Session, b = binary.BigEndian.Uint64(b), b[sessionLen+linkLen:]
	case Left:
		r.Session, b = binary.BigEndian.Uint64(b), b[sessionLen:]
	case Part:
		r.Left, r.Piece, b = binary.BigEndian.Uint32(b), b[partLen:], nil
	case Gone:
		r.About, b = parseOrigin(b), b[originLen:]
	case Enter, Found:
		r.After = parsePosition(b)
		return r.Facts.parse(b[positionLen:])
	case Beat:
		return r.Facts.parse(b)
	}
	if len(b) > 0 {
		return errMore
	}
	return nil
}

// parseSession parses what follows the header of a batch, which may be longer than MaxRecord if it
// came in parts.
func (r *Record) parseSession(b []byte) error {
	if len(b) < sessionLen {
		return errCut
	}
	r.Session, b = binary.BigEndian.Uint64(b), b[sessionLen:]
	for len(b) > 0 {
		if len(b) < runLen {
			return errCut
		}
		run := Run{Verdict: policy.Verdict(binary.BigEndian.Uint64(b)), PDUs: binary.BigEndian.Uint32(b[8:]),
			Users: binary.BigEndian.Uint32(b[16:]), PeerUsers: binary.BigEndian.Uint32(b[20:])}
		n := binary.BigEndian.Uint32(b[12:])
		if b = b[runLen:]; uint64(n) > uint64(len(b)) {
			return errCut
		}
		run.Bytes, b = b[:n:n], b[n:]
		if err := run.check(); err != nil {
			return fmt.Errorf("run %d: %w", len(r.Runs), err)
		}
		r.Runs = append(r.Runs, run)
	}
	return nil
}

// check returns an error if the run is not whole PDUs with a verdict. The verdict gets its groups.
func (r *Run) check() error {
	if err := r.fromWire(); err != nil {
		return err
	}
	pdus := uint32(0)
	for b := r.Bytes; len(b) > 0; pdus++ {
		n, err := pdu.Next(b, math.MaxInt)
		if err != nil {
			return err
		}
		if n == 0 {
			return errors.New("the last PDU is cut off")
		}
		b = b[n:]
	}
	if pdus != r.PDUs || pdus == 0 {
		return fmt.Errorf("it has %d PDUs, not %d", pdus, r.PDUs)
	}
	return nil
}
