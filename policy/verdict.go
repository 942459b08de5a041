package policy

import (
	"fmt"
	"strings"

	"switchyard/policy/abi"
)

// A Verdict says what happens to one PDU, in the layout of policy/abi: action, flags,
// selector and argument in one word. The zero Verdict drops the PDU.
type Verdict uint64

// An Action is what a Verdict does with a PDU.
type Action uint8

// The actions, spelled as tables, logs and metrics spell them.
const (
	Drop                  Action = abi.Drop
	Consume               Action = abi.Consume
	Handle                Action = abi.Handle
	Unicast               Action = abi.Unicast
	BroadcastExceptSender Action = abi.BroadcastExceptSender
	BroadcastAll          Action = abi.BroadcastAll
	Close                 Action = abi.Close
)

// Actions holds the name of every action, indexed by it.
var Actions = [...]string{"drop", "consume", "handle", "unicast", "broadcast-except-sender", "broadcast-all", "close"}

func (a Action) String() string {
	if int(a) < len(Actions) {
		return Actions[a]
	}
	return fmt.Sprintf("action-%d", uint8(a))
}

// MarshalText spells the action for JSON and logs.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Handlers holds the name of every built-in handler, indexed by the argument
// that names it; 0 is none.
var Handlers = [...]string{"", "online-user-info", "user-status-update", "role-set", "users-status-request"}

// Selectors holds the name of every selector of UNICAST, indexed by it.
var Selectors = [...]string{"sender", "session", "user", "fields", "master"}

// Action returns what v does.
func (v Verdict) Action() Action { return Action(v & abi.ActionMask) }

// Has reports whether v carries the flag, one of those in policy/abi.
func (v Verdict) Has(flag Verdict) bool { return v&flag != 0 }

// Selector returns how a UNICAST names its targets, one of the selectors in policy/abi.
func (v Verdict) Selector() int { return int(v >> abi.SelectorShift & abi.SelectorMask) }

// Argument returns bits 32–63.
func (v Verdict) Argument() uint32 { return uint32(v >> abi.ArgumentShift) }

// Inspected reports whether v asks for an inspection of each PDU.
func (v Verdict) Inspected() bool { return v&(abi.InspectHeader|abi.InspectBodyOf) != 0 }

// PresenceHandler returns which handler v names of those that change who is present or
// master, or 0. Peers tell that once, so it can neither be split nor be taken back.
func (v Verdict) PresenceHandler() uint32 {
	if v.Action() == Handle && v.Argument() != abi.UsersStatusRequest {
		return v.Argument()
	}
	return 0
}

// Check returns why v is not a verdict of ABI version 1, or nil.
func (v Verdict) Check() error {
	const knownBits = abi.ActionMask | abi.FlagsMask | abi.SelectorMask<<abi.SelectorShift
	switch low := v & (1<<abi.ArgumentShift - 1); {
	case low&(abi.ReservedMask|abi.LimitMask) != 0:
		return fmt.Errorf("verdict %#016x sets reserved bits 20–31", uint64(v))
	case low&^knownBits != 0:
		return fmt.Errorf("verdict %#016x sets reserved flags", uint64(v))
	}
	switch action := v.Action(); {
	case int(action) >= len(Actions):
		return fmt.Errorf("verdict %#016x names action %d, the last is %d", uint64(v), action, len(Actions)-1)
	case action == Handle && (v.Argument() == 0 || int(v.Argument()) >= len(Handlers)):
		return fmt.Errorf("verdict %#016x names handler %d; there are 1–%d", uint64(v), v.Argument(), len(Handlers)-1)
	case action == Unicast && v.Selector() >= len(Selectors):
		return fmt.Errorf("verdict %#016x names selector %d, the last is %d", uint64(v), v.Selector(), len(Selectors)-1)
	case action == Unicast && v.Selector() == abi.ToFields && (v.Argument() == 0 || v.Argument()&1 != 0):
		return fmt.Errorf("verdict %#016x names body fields %#x; bit n is field n, 1–31", uint64(v), v.Argument())
	}
	return nil
}

// String spells v: "broadcast-except-sender, log". ParseVerdict reads it back.
func (v Verdict) String() string {
	parts := []string{v.Action().String()}
	switch v.Action() {
	case Handle:
		if a := v.Argument(); int(a) < len(Handlers) {
			parts[0] += " " + Handlers[a]
		}
	case Unicast:
		parts[0] += " " + v.targets()
	}
	for _, f := range flagNames {
		if v.Has(f.flag) {
			parts = append(parts, f.name)
		}
	}
	return strings.Join(parts, ", ")
}

var flagNames = [...]struct {
	flag Verdict
	name string
}{
	{abi.NotSender, "not-sender"},
	{abi.ElseBroadcast, "else-broadcast"},
	{abi.InspectHeader, "inspect-header"},
	{abi.InspectBodyOf, "inspect-body"},
	{abi.Log, "log"},
}

func (v Verdict) targets() string {
	switch s := v.Selector(); {
	case s == abi.ToSession || s == abi.ToUser:
		return fmt.Sprintf("%s %d", Selectors[s], v.Argument())
	case s == abi.ToFields:
		var fields []string
		for n := 1; n < 32; n++ {
			if v.Argument()>>n&1 != 0 {
				fields = append(fields, fmt.Sprint(n))
			}
		}
		return "fields " + strings.Join(fields, " ")
	case s < len(Selectors):
		return Selectors[s]
	default:
		return fmt.Sprintf("selector-%d", s)
	}
}
