package policy

import (
	"fmt"
	"slices"
	"strings"

	"switchyard/policy/abi"
)

// A Verdict says what happens to one PDU, in the layout of policy/abi but for the numbers of a rate
// limit and of groups: action, flags, selector and argument in one word. Groups are those of this
// process: a Group as the argument, and with the flag ALSO in bits 20–31. The zero Verdict drops the
// PDU.
type Verdict uint64

const alsoMask = 1<<12 - 1

// actionBits hold the action.
const actionBits = 0x7

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
var Selectors = [...]string{"sender", "session", "user", "fields", "master", "group"}

// Action returns what v does.
func (v Verdict) Action() Action { return Action(v & actionBits) }

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

// Target returns the group to which v sends, or 0 if it is not a UNICAST to a group.
func (v Verdict) Target() Group {
	if v.Action() != Unicast || v.Selector() != abi.ToGroup {
		return 0
	}
	return Group(v.Argument())
}

// Also returns the group that gets a copy as well, or 0.
func (v Verdict) Also() Group { return Group(v >> abi.AlsoShift & alsoMask) }

// WithAlso returns v with the group that gets a copy as well, instead of the one that it has; 0 is
// none.
func (v Verdict) WithAlso(g Group) Verdict {
	v &^= abi.Also | alsoMask<<abi.AlsoShift
	if g != 0 {
		v |= abi.Also | Verdict(g)<<abi.AlsoShift
	}
	return v
}

// UnicastTo returns the verdict that sends to the peers of a group.
func UnicastTo(g Group) Verdict {
	return abi.Unicast | abi.ToGroup<<abi.SelectorShift | argument(uint32(g))
}

// GuestVerdict returns what the word of a guest means that has named these groups, or an error if
// it is not a verdict of ABI version 1.
func GuestVerdict(word uint64, groups []Group) (Verdict, error) {
	const known = abi.ActionMask | abi.FlagsMask | abi.SelectorMask<<abi.SelectorShift | abi.AlsoMask<<abi.AlsoShift | abi.LimitMask
	named := word >> abi.AlsoShift & abi.AlsoMask
	switch low := word & (1<<abi.ArgumentShift - 1); {
	case low&abi.ReservedMask != 0, low&abi.Also == 0 && named != 0:
		return 0, fmt.Errorf("verdict %#016x sets reserved bits", word)
	case low&^known != 0, low&abi.Also != 0 && len(groups) == 0:
		return 0, fmt.Errorf("verdict %#016x sets reserved flags", word)
	case low&abi.ActionMask >= uint64(len(Actions)):
		return 0, fmt.Errorf("verdict %#016x names action %d, the last is %d", word, low&abi.ActionMask, len(Actions)-1)
	}
	v := VerdictOf(word)
	if v.Has(abi.Also) {
		if named >= uint64(len(groups)) {
			return 0, noSuchGroup(word, named, groups)
		}
		v = v.WithAlso(groups[named])
	}
	if v.Action() == Unicast && v.Selector() == abi.ToGroup {
		n := v.Argument()
		switch {
		case len(groups) == 0:
			return 0, fmt.Errorf("verdict %#016x names selector %d, the last is %d", word, abi.ToGroup, abi.ToMaster)
		case uint64(n) >= uint64(len(groups)):
			return 0, noSuchGroup(word, uint64(n), groups)
		}
		v = v&(1<<abi.ArgumentShift-1) | argument(uint32(groups[n]))
	}
	return v, v.Check()
}

func noSuchGroup(word, n uint64, groups []Group) error {
	return fmt.Errorf("verdict %#016x names group %d, the last is %d", word, n, len(groups)-1)
}

// VerdictOf is GuestVerdict without its checks, for a word without groups.
func VerdictOf(word uint64) Verdict {
	return Verdict(word &^ abi.LimitMask).WithLimit(int(word & abi.LimitMask >> abi.LimitShift))
}

// GuestWord returns the word by which a guest says v that has named these groups. GuestVerdict is the
// inverse.
func (v Verdict) GuestWord(groups ...Group) uint64 {
	if to := v.Target(); to != 0 {
		v = v&(1<<abi.ArgumentShift-1) | argument(uint32(max(0, slices.Index(groups, to))))
	}
	if also := v.Also(); also != 0 {
		v = v.WithAlso(0) | abi.Also | Verdict(max(0, slices.Index(groups, also)))<<abi.AlsoShift
	}
	return v.GuestNumbers()
}

// GuestNumbers is GuestWord for a verdict whose groups have the numbers of the guest.
func (v Verdict) GuestNumbers() uint64 {
	return uint64(v.WithLimit(0)) | uint64(v.Limit())<<abi.LimitShift
}

// Check returns why v is not a verdict that a policy may return, or nil.
func (v Verdict) Check() error {
	const known = actionBits | LimitBits | abi.FlagsMask | abi.SelectorMask<<abi.SelectorShift | alsoMask<<abi.AlsoShift
	if v&(1<<abi.ArgumentShift-1)&^known != 0 {
		return fmt.Errorf("verdict %#016x sets reserved bits", v.GuestWord())
	}
	switch action := v.Action(); {
	case int(action) >= len(Actions):
		return fmt.Errorf("verdict %#016x names action %d, the last is %d", v.GuestWord(), action, len(Actions)-1)
	case action == Handle && (v.Argument() == 0 || int(v.Argument()) >= len(Handlers)):
		return fmt.Errorf("verdict %#016x names handler %d; there are 1–%d", v.GuestWord(), v.Argument(), len(Handlers)-1)
	case action == Unicast && v.Selector() >= len(Selectors):
		return fmt.Errorf("verdict %#016x names selector %d, the last is %d", v.GuestWord(), v.Selector(), len(Selectors)-1)
	case action == Unicast && v.Selector() == abi.ToFields && (v.Argument() == 0 || v.Argument()&1 != 0):
		return fmt.Errorf("verdict %#016x names body fields %#x; bit n is field n, 1–31", v.GuestWord(), v.Argument())
	case v.Limit() != 0 && v.Limitable() != "":
		return fmt.Errorf("verdict %#016x names rate limit %d, but %s", v.GuestWord(), v.Limit(), v.Limitable())
	}
	return v.checkGroups()
}

// checkGroups is the part of Check that is about groups.
func (v Verdict) checkGroups() error {
	switch {
	case v.Action() == Unicast && v.Selector() == abi.ToGroup && (v.Argument() == 0 || v.Argument() > uint32(ElsewhereGroup)):
		return fmt.Errorf("verdict %#016x names no group", v.GuestWord())
	case v.Has(abi.Also) != (v.Also() != 0):
		return fmt.Errorf("verdict %#016x names no group for its copy", v.GuestWord())
	case v.Has(abi.Also) && !v.sends():
		return fmt.Errorf("verdict %#016x sends a copy to a group as well, but %v sends nothing", v.GuestWord(), v.Action())
	}
	return nil
}

// sends reports whether v routes the PDU to peers, so that a group can get it as well.
func (v Verdict) sends() bool {
	a := v.Action()
	return a == Unicast || a == BroadcastExceptSender || a == BroadcastAll
}

// String spells v: "broadcast-except-sender, log". ParseVerdict reads it back, unless v names a rate
// limit, of which v knows only the number; RateLimits.Spell spells that.
func (v Verdict) String() string {
	target, also := "", ""
	if g := v.Target(); g != 0 {
		target = g.String()
	}
	if g := v.Also(); g != 0 {
		also = g.String()
	}
	return v.spell(target, also)
}

// GuestString is String for a verdict whose groups have the numbers of a guest, which names them so.
func GuestString(v Verdict, names []string) string {
	name := func(n uint64) string {
		if n < uint64(len(names)) {
			return names[n]
		}
		return fmt.Sprint(n)
	}
	target, also := "", ""
	if v.Action() == Unicast && v.Selector() == abi.ToGroup {
		target = name(uint64(v.Argument()))
	}
	if v.Has(abi.Also) {
		also = name(uint64(v >> abi.AlsoShift & abi.AlsoMask))
	}
	return v.spell(target, also)
}

// spell spells v with the names of its groups.
func (v Verdict) spell(target, also string) string {
	parts := []string{v.Action().String()}
	switch v.Action() {
	case Handle:
		if a := v.Argument(); int(a) < len(Handlers) {
			parts[0] += " " + Handlers[a]
		}
	case Unicast:
		parts[0] += " " + v.targets(target)
	}
	for _, f := range flagNames {
		if v.Has(f.flag) {
			parts = append(parts, f.name)
		}
	}
	if also != "" {
		parts = append(parts, alsoGroup+also)
	}
	switch n := v.Limit(); {
	case v.OverLimit():
		parts = append(parts, "over a limit")
	case n != 0:
		parts = append(parts, fmt.Sprintf("limit #%d", n))
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

// alsoGroup precedes the name of the group that gets a copy as well.
const alsoGroup = "also group "

func (v Verdict) targets(group string) string {
	switch s := v.Selector(); {
	case s == abi.ToGroup:
		return Selectors[s] + " " + group
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
