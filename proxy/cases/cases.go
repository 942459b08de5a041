// Package cases runs table-driven tests of a policy. A case has peers with users, a PDU
// and its sender, and what should become of the PDU. The policy runs on the engine of
// production and the hub of production routes, so that tests and production agree. The
// package opens no sockets and no files.
//
// A file of cases is TOML:
//
//	[peers]
//	A = { users = [1, 2] }
//	B = { users = [3], master = true }
//	C = { groups = ["admin"] }
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
// [peers] is written above the first case and holds for all cases; [case.peers] replaces it
// for one case. Every case starts with a new hub and all of its peers. Sessions are
// numbered from 1 in the order in which the peers are written. Each peer holds its users
// from the start, as if they were online there with a PC, and is master or not, even if
// the policy drops the PDUs that announce such things. It is in the groups, as if the
// configuration said so.
//
// # A case
//
//	name     is the name in reports; without one it is the command and the line
//	from     is the name of the sending peer
//	command  is a name or an id: "CID_MSG_DATA", 0x0301
//	service  is a name or an id; without one it is that of the command
//	seq      is the sequence number, 0 without one
//	before   is how many PDUs like this one the sender has sent before it, all at one
//	         time, for rate limits: 50 makes it the 51st
//	wait     is the time between those and this one, "20ms"
//	master   makes the sender master or not, instead of what [peers] says
//	body     has the fields of the command's message by name: numbers, true and
//	         false, strings, lists for repeated fields, tables for messages and
//	         maps, and enumerations by name or number. Bytes are written as text, or behind
//	         "hex:" as hex digits. A required field that is not written is missing
//	         from the PDU
//	hex      is the body as hex digits instead, with or without blanks
//
// # What to expect
//
// Only what is written is compared, with two exceptions: a case fails if it does not
// expect a fault of the policy, or a drop for another reason than the verdict.
//
//	action   is that of the verdict: drop, consume, handle, unicast,
//	         broadcast-except-sender, broadcast-all, close
//	verdict  is the whole verdict as in a routing table, after an inspection if the
//	         policy asks for one
//	to       is the peers that receive anything, in any order
//	sends    is the commands that each of these receives, in order: that of the PDU
//	         unless a handler makes others
//	dropped  is the reason why the PDU is dropped: policy, policy-fault,
//	         malformed-body, bad-status, no-holder, too-many-users,
//	         answer-too-long, over-limit
//	fault    is the way in which the policy fails: trap, fuel, recursion, abi, body-size
package cases

import (
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/proxy/hub"
)

// A Case is one PDU and what should become of it.
type Case struct {
	Name string
	Line int // where it begins, from 1
	From string
	// Before is how many such PDUs the sender has sent before, and Wait the time since then.
	Before int
	Wait   time.Duration
	PDU    []byte
	Lacks  []string // required fields that are missing from the body
	Peers  []Peer
	Want   Expectation
}

// A Peer is a connected peer.
type Peer struct {
	Name    string
	Users   []uint32
	Master  bool
	Groups  []policy.Group // in which it is
	Session uint64         // number of its session, above those of the peers before it; 0 for the next one

	groupsLine int // where Groups is written, from 1
}

// An Expectation is what a case compares. Fields that are nil or empty are not compared.
type Expectation struct {
	Action  *policy.Action
	Verdict *policy.Verdict
	Limit   policy.RateLimit // of Verdict
	To      []string         // names of the receiving peers; none if it is empty but not nil
	Sends   []pdu.CommandID
	Dropped hub.Reason
	Fault   policy.FaultKind
}
