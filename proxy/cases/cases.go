// Package cases runs table-driven tests of a policy: given a PDU, a sender and who
// holds which users, what becomes of it. The policy decides on the engine that
// serves, and the hub that serves routes, so that what is tested is what happens.
// The package opens no sockets and no files.
//
// A file of cases is TOML:
//
//	[peers]
//	A = { users = [1, 2] }
//	B = { users = [3], master = true }
//	C = {}
//
//	[[case]]
//	name    = "a single chat"
//	from    = "A"
//	command = "CID_MSG_DATA"
//	body    = { from_user_id = 1, to_session_id = 3, msg_type = "MSG_TYPE_SINGLE_TEXT", msg_data = "hello" }
//	expect  = { action = "broadcast-except-sender", to = ["B", "C"] }
//
// # Peers
//
// [peers] stands above the first case and holds for all; a case with [case.peers]
// has those instead. Every case begins anew with all of its peers, sessions being
// numbered from 1 in the order in which the peers are written. Each holds its users
// from the beginning, as if they were online by a PC there, and is master or not,
// whatever the policy does with the PDUs that say so.
//
// # A case
//
//	name     is what reports call it; without one it is its command and line
//	from     names the peer that sends
//	command  is a name, or an id: "CID_MSG_DATA", 0x0301
//	service  is a name or an id; without one it is the command's own
//	seq      is the sequence number, 0 without one
//	master   is true if the sender is master, beside what [peers] says
//	body     is the fields of the command's message, by their names: numbers,
//	         true and false, strings, lists for what is repeated, tables for
//	         messages; an enumeration by name or number. Bytes are written as
//	         text, or behind "hex:" as hex digits. Nothing is added: a required
//	         field that is left out is left out
//	hex      is the body as hex digits instead; blanks between them do no harm
//
// # What to expect
//
// Only what is written is compared, with two exceptions: a fault of the policy, and
// a PDU that is dropped for another reason than that the verdict says so, are to be
// expected or fail the case.
//
//	action   is the verdict's: drop, consume, handle, unicast,
//	         broadcast-except-sender, broadcast-all, close
//	verdict  is the whole of it, as in a routing table; if the policy inspects the
//	         PDU, what that came to
//	to       is the peers that are sent anything, in any order
//	sends    is the commands of what each of these is sent, in order: the PDU's
//	         own unless a handler makes others
//	dropped  is the reason for which it is dropped: policy, policy-fault,
//	         malformed-body, bad-status, no-holder, too-many-users,
//	         answer-too-long
//	fault    is how the policy fails: trap, fuel, recursion, abi, body-size
package cases

import (
	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/proxy/hub"
)

// A Case is one PDU and what is to become of it.
type Case struct {
	Name  string
	Line  int // where it begins, from 1
	From  string
	PDU   []byte
	Lacks []string // required fields that its body does not have
	Peers []Peer
	Want  Expectation
}

// A Peer is one of those that are connected.
type Peer struct {
	Name   string
	Users  []uint32
	Master bool
}

// An Expectation is what a case compares; what is nil or empty is not compared.
type Expectation struct {
	Action  *policy.Action
	Verdict *policy.Verdict
	To      []string // names of peers; nobody if it is empty but not nil
	Sends   []pdu.CommandID
	Dropped hub.Reason
	Fault   policy.FaultKind
}
