// Package body reads and writes the message bodies that the hub itself handles,
// by the proto2 rules of the original: enumerations are closed, so that a value
// outside of one counts as an absent field; required fields are required; of a
// repeated singular field the last valid occurrence stands; ids, statuses and
// client types are cut to 32 bits. It knows what a body says, not what follows
// from it.
//
// It stands beside generated code because google.golang.org/protobuf keeps
// enumerations open, and because nothing here allocates unless a body is bad.
// What is read refers to the body it was read from.
package body

import "fmt"

// An Error is the error of every reader: a body that is dropped as a whole.
type Error struct {
	What   string
	Offset int // in the body, in bytes, where it was noticed
}

func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d of the body", e.What, e.Offset) }

// A ClientType is IM.BaseDefine.ClientType. Readers return the four below only.
type ClientType uint32

const (
	ClientWindows ClientType = 0x01
	ClientMac     ClientType = 0x02
	ClientIOS     ClientType = 0x11
	ClientAndroid ClientType = 0x12
)

// PC reports whether c is not a mobile client.
func (c ClientType) PC() bool { return c&0x10 == 0 }

func (c ClientType) valid() bool {
	return c == ClientWindows || c == ClientMac || c == ClientIOS || c == ClientAndroid
}

// A Status is IM.BaseDefine.UserStatType, or any other number in a status update.
type Status uint32

const (
	Online  Status = 1
	Offline Status = 2
	Leave   Status = 3
)

func (s Status) valid() bool { return Online <= s && s <= Leave }

// A ServerUserStat says that a client of a user has a status.
type ServerUserStat struct {
	User   uint32
	Status Status
	Client ClientType
}

// Announceable reports whether s may be acted upon as a status update. What a PC
// client reports goes on to everybody in a status notify, whose status is an
// enumeration: another number than 1, 2 and 3 aborts the original, and is to be
// dropped before it changes anything. A mobile client's is never passed on, and
// every number but 2 means that it is there.
func (s ServerUserStat) Announceable() bool { return s.Status.valid() || !s.Client.PC() }
