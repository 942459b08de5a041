package hub

import (
	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// A Note is about one or more neighbouring PDUs of a session with the same verdict.
type Note struct {
	Header  pdu.Header // of the first
	PDU     []byte     // the first, whole; valid during the call
	PDUs    int
	Verdict policy.Verdict
	Dropped Reason        // why the PDUs were dropped; empty if they were not
	Fault   *policy.Fault // how the policy failed to decide; nil if it decided
	Policy  *policy.Generation

	Attributes uint64         // of the sender, as the policy received them, but for groups
	Groups     []policy.Group // of the sender

	clientTypes body.ClientTypes // that were admitted
}

// Malformed returns what is wrong with the body of the first PDU, if it was dropped as
// MalformedBody. It reads the body again, during the call that passes the Note.
func (n *Note) Malformed() (err error) {
	b, argument := n.PDU[pdu.HeaderLen:], n.Verdict.Argument()
	switch handled := n.Verdict.Action() == policy.Handle; {
	case n.Dropped != MalformedBody:
	case !handled:
		_, err = body.ReadValues(b, argument)
	case argument == abi.OnlineUserInfo:
		_, err = body.ReadOnlineUserInfo(b, n.clientTypes)
	case argument == abi.UserStatusUpdate:
		_, err = body.ReadUserStatusUpdate(b, n.clientTypes)
	case argument == abi.RoleSet:
		_, err = body.ReadRoleSet(b)
	case argument == abi.UsersStatusRequest:
		_, err = body.ReadUsersStatusRequest(b)
	}
	return err
}
