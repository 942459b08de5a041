// Package body reads and writes the message bodies that the hub itself handles,
// by the proto2 rules of the original: enumerations are closed, so a value outside of
// one counts as an absent field; required fields are required; if a singular field
// occurs several times, the last valid occurrence counts; ids, statuses and client
// types are cut to 32 bits. It parses bodies and does not act on them.
//
// It exists beside the generated code because google.golang.org/protobuf keeps
// enumerations open, and because it allocates only for invalid bodies. Results alias
// the body that they were read from.
package body

import "fmt"

// An Error is the error of every reader: the body is invalid and dropped as a whole.
type Error struct {
	What   string
	Field  string // the required field that is missing or has no valid value; "" if that is not the fault
	Offset int    // where the fault was noticed, in bytes from the start of the body
}

func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d of the body", e.What, e.Offset) }

// A ClientType is IM.BaseDefine.ClientType. Readers return only the four below.
type ClientType uint32

const (
	ClientWindows ClientType = 0x01
	ClientMac     ClientType = 0x02
	ClientIOS     ClientType = 0x11
	ClientAndroid ClientType = 0x12
)

// PC reports whether c is not a mobile client.
func (c ClientType) PC() bool { return c&0x10 == 0 }

// Known reports whether c is one of the four.
func (c ClientType) Known() bool {
	return c == ClientWindows || c == ClientMac || c == ClientIOS || c == ClientAndroid
}

// ClientTypes has further types of client, which forks of the original add, and as which of
// the four each is read. nil has none, as in the original. It must not change while it is in
// use.
type ClientTypes map[ClientType]ClientType

// read returns the type that a value stands for.
func (t ClientTypes) read(value uint64) (c ClientType, ok bool) {
	if c = ClientType(value); c.Known() {
		return c, true
	}
	c, ok = t[c]
	return c, ok
}

// A Status is IM.BaseDefine.UserStatType, or any other number in a status update.
type Status uint32

const (
	Online  Status = 1
	Offline Status = 2
	Leave   Status = 3
)

func (s Status) valid() bool { return Online <= s && s <= Leave }

// A ServerUserStat is the status of one client of a user.
type ServerUserStat struct {
	User   uint32
	Status Status
	Client ClientType
}

// Announceable reports whether s is acceptable as a status update. The status of a PC
// client is announced to all peers in a status notify, where it is an enumeration: a
// number other than 1, 2 and 3 aborts the original, so the update must be dropped
// before it changes anything. The status of a mobile client is never forwarded, and
// every number except 2 means that the client is online.
func (s ServerUserStat) Announceable() bool { return s.Status.valid() || !s.Client.PC() }
