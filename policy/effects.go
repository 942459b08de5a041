package policy

import (
	"switchyard/pdu"
	"switchyard/policy/abi"
)

// Effects limits what a policy may do. The operator sets it, the host enforces it, and
// the guest cannot see it. It never changes once it is in use. Nil allows everything.
type Effects struct {
	actions   uint16           // bit n: action n
	handlers  uint16           // bit n: handler n
	commands  *[1 << 10]uint64 // bit n: command n may be more than dropped; nil for all
	otherwise Verdict          // happens to a PDU whose verdict is not allowed
}

// exceeded returns why the verdict on a PDU of that command is not allowed, or "". Drop always is
// allowed. The limit of a command holds for every service id, because receivers look at the command
// alone.
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
	case v.Has(abi.Also) && !e.mayDo(Unicast):
		return "also group takes unicast, which is not in " + KeyMay
	}
	return ""
}

func (e *Effects) mayDo(a Action) bool { return e.actions>>a&1 != 0 }
