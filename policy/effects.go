package policy

import (
	"switchyard/pdu"
	"switchyard/policy/abi"
)

// Effects is what a policy may do, whatever it says: a limit that the host sets and
// the guest cannot see. It does not change once it is in use. Nil is no limit.
type Effects struct {
	actions   uint16           // bit n: action n
	handlers  uint16           // bit n: handler n
	commands  *[1 << 10]uint64 // bit n: command n may be more than dropped; nil for all
	otherwise Verdict          // on a PDU whose verdict lies outside
}

// Allows reports whether the verdict on a PDU of these ids lies within. Drop always
// does. Nil allows everything. A command is limited under whatever service it comes,
// as receivers go by the command alone.
func (e *Effects) Allows(_ pdu.ServiceID, c pdu.CommandID, v Verdict) bool {
	return e == nil || e.exceeded(c, v) == ""
}

// exceeded says in which way the verdict lies outside, or "".
func (e *Effects) exceeded(c pdu.CommandID, v Verdict) string {
	switch action := v.Action(); {
	case action == Drop:
		return ""
	case e.commands != nil && e.commands[c/64]>>(c%64)&1 == 0:
		return "the command is not in " + KeyCommands
	case !e.mayDo(action):
		return "the action is not in " + KeyMay
	case action == Handle && e.handlers>>v.Argument()&1 == 0:
		return "the handler is not in " + KeyMay
	case action == Unicast && v.Has(abi.ElseBroadcast) && !e.mayDo(BroadcastExceptSender):
		return "else-broadcast takes broadcast-except-sender, which is not in " + KeyMay
	}
	return ""
}

func (e *Effects) mayDo(a Action) bool { return e.actions>>a&1 != 0 }
