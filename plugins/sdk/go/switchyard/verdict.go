// Package switchyard is the SDK for policies in Go: the guest's side of version 1 of
// Switchyard's policy ABI. It builds verdicts, reads headers, bodies and configurations,
// and exports the marker and the buffer; the policy exports the functions that decide.
// Nothing in it allocates. All of it also runs in native tests.
package switchyard

// A Verdict decides what happens to one PDU. Start with a constant or a function below,
// and add flags: UnicastUser(7).NotSender().
type Verdict uint64

// The verdicts that need no argument.
const (
	Drop                  Verdict = 0
	Consume               Verdict = 1 // accepted, nothing to send
	BroadcastExceptSender Verdict = 4
	BroadcastAll          Verdict = 5
	Close                 Verdict = 6 // the sender's connection
	UnicastSender         Verdict = unicast
	UnicastMaster         Verdict = unicast | 4<<selectorShift // the peers that declared themselves master
)

const (
	handle  = 2
	unicast = 3

	selectorShift = 16
	argumentShift = 32
)

// A Handler is a handler that is built into the server.
type Handler uint32

// The handlers, each for the command of the same name.
const (
	OnlineUserInfo     Handler = 1
	UserStatusUpdate   Handler = 2
	RoleSet            Handler = 3
	UsersStatusRequest Handler = 4
)

// Handle gives the PDU to a handler.
func Handle(h Handler) Verdict { return handle | Verdict(h)<<argumentShift }

// UnicastSession sends to the session of that number.
func UnicastSession(number uint32) Verdict {
	return unicast | 1<<selectorShift | Verdict(number)<<argumentShift
}

// UnicastUser sends to the peers that hold the user.
func UnicastUser(user uint32) Verdict {
	return unicast | 2<<selectorShift | Verdict(user)<<argumentShift
}

// UnicastFields sends to the peers that hold the users in these varint fields, 1
// to 31, of the body.
func UnicastFields(fields ...uint32) Verdict {
	v := Verdict(unicast | 3<<selectorShift)
	for _, f := range fields {
		v |= Verdict(uint32(1)<<f) << argumentShift
	}
	return v
}

// InspectHeader asks the policy's inspect about each PDU; v is what happens if
// that fails.
func (v Verdict) InspectHeader() Verdict { return v | 1<<8 }

// InspectBody asks the policy's inspect_body about each PDU; v is what happens if
// that fails.
func (v Verdict) InspectBody() Verdict { return v | 1<<9 }

// Log logs the PDU's header.
func (v Verdict) Log() Verdict { return v | 1<<10 }

// NotSender leaves the sender out of a unicast's targets.
func (v Verdict) NotSender() Verdict { return v | 1<<11 }

// ElseBroadcast broadcasts except to the sender if a user that a unicast names is
// not known.
func (v Verdict) ElseBroadcast() Verdict { return v | 1<<12 }
