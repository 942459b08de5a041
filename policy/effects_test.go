package policy

import (
	"slices"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy/abi"
)

func effects(t testing.TB, may, commands []string, otherwise string) *Effects {
	t.Helper()
	e, err := ParseEffects(may, commands, otherwise)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func handler(n Verdict) Verdict { return abi.Handle | n<<abi.ArgumentShift }

// shapes is at least one verdict of every kind that a limit tells from others, by
// the letter that stands for it below.
var shapes = map[rune]Verdict{
	'd': abi.Drop | abi.Log,
	'c': abi.Consume,
	'1': handler(abi.OnlineUserInfo),
	'2': handler(abi.UserStatusUpdate),
	'3': handler(abi.RoleSet),
	'4': handler(abi.UsersStatusRequest) | abi.Log,
	's': abi.Unicast | abi.ToSender<<abi.SelectorShift,
	'n': abi.Unicast | abi.ToSession<<abi.SelectorShift | 7<<abi.ArgumentShift,
	'u': abi.Unicast | abi.ToUser<<abi.SelectorShift | 7<<abi.ArgumentShift | abi.NotSender,
	'f': abi.Unicast | abi.ToFields<<abi.SelectorShift | 6<<abi.ArgumentShift,
	'm': abi.Unicast | abi.ToMaster<<abi.SelectorShift | abi.Log,
	'U': abi.Unicast | abi.ToUser<<abi.SelectorShift | 7<<abi.ArgumentShift | abi.ElseBroadcast,
	'F': abi.Unicast | abi.ToFields<<abi.SelectorShift | 6<<abi.ArgumentShift | abi.ElseBroadcast,
	'e': abi.BroadcastExceptSender,
	'a': abi.BroadcastAll | abi.Log,
	'x': abi.Close,
	'i': abi.Drop | abi.InspectBodyOf,
	'I': abi.BroadcastAll | abi.InspectHeader,
	// No verdicts: nothing but a limit that does not ask for the action lets them pass.
	'0': handler(0),
	'5': handler(5),
	'9': handler(1<<32 - 1),
	'y': 7,
	'z': abi.ActionMask,
}

func TestAllows(t *testing.T) {
	const everyone, nobody, data = "dc1234snufmUFeaxiI", "di", pdu.CID_MSG_DATA
	for _, tt := range []struct {
		may, commands string // commas part entries
		command       pdu.CommandID
		want          string // the letters of shapes
	}{
		{"drop", "", data, nobody},
		{"consume", "", data, "dic"},
		{"handle", "", data, "di1234"},
		{"handle online-user-info", "", data, "di1"},
		{"handle user-status-update", "", data, "di2"},
		{"handle role-set", "", data, "di3"},
		{"handle users-status-request", "", data, "di4"},
		{"handle role-set,handle  users-status-request", "", data, "di34"},
		{"handle role-set,handle", "", data, "di1234"},
		{"unicast", "", data, "disnufm"},
		{"broadcast-except-sender", "", data, "die"},
		{"broadcast-all", "", data, "diaI"},
		{"close", "", data, "dix"},
		{"unicast,broadcast-except-sender", "", data, "disnufmUFe"},
		{"unicast,broadcast-all", "", data, "disnufmaI"},
		{strings.Join(Actions[:], ","), "", data, everyone},
		{"", "CID_MSG_DATA", data, everyone},
		{"", "CID_MSG_DATA", data + 1, nobody},
		{"", "CID_MSG_DATA", data - 1, nobody},
		{"", "0x0300-0x0310,7", 0x0300, everyone},
		{"", "0x0300-0x0310,7", 0x0310, everyone},
		{"", "0x0300-0x0310,7", 0x02ff, nobody},
		{"", "0x0300-0x0310,7", 0x0311, nobody},
		{"", "0x0300-0x0310,7", 7, everyone},
		{"", "0-0xffff", 0xffff, everyone},
		{"", "0xffff", 0, nobody},
		{"unicast", "CID_MSG_DATA", data, "disnufm"},
		{"unicast", "CID_MSG_DATA", data + 1, nobody},
	} {
		e := effects(t, entries(tt.may), entries(tt.commands), "")
		for letter, v := range shapes {
			if got, want := allows(e, tt.command, v), strings.ContainsRune(tt.want, letter); got != want {
				t.Errorf("may %q of %q: %v allows %v: %v, want %v", tt.may, tt.commands, tt.command, v, got, want)
			}
		}
	}
}

func allows(e *Effects, c pdu.CommandID, v Verdict) bool { return e == nil || e.exceeded(c, v) == "" }

func entries(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

func TestNoLimitAllowsEverything(t *testing.T) {
	for _, otherwise := range []string{"", "drop", "close"} {
		e := effects(t, nil, []string{}, otherwise)
		if e != nil {
			t.Fatalf("ParseEffects without a limit = %+v, want nil", e)
		}
		for _, v := range shapes {
			if !allows(e, pdu.CID_MSG_DATA, v) {
				t.Errorf("no limit forbids %v", v)
			}
		}
	}
}

func TestParseEffectsRefuses(t *testing.T) {
	for _, tt := range []struct {
		may, commands []string
		otherwise     string
		want          string
	}{
		{may: []string{"unicast", "broadcst-all", "role-set", "", " ", "qwertz"}, want: `may: unknown action "broadcst-all"; did you mean broadcast-all?
may: unknown action "role-set"; did you mean handle role-set?
may: an entry is empty; name an action, or remove it
may: an entry is empty; name an action, or remove it
may: unknown action "qwertz"; there are drop, consume, handle, unicast, broadcast-except-sender, broadcast-all, close, handle online-user-info, handle user-status-update, handle role-set, handle users-status-request`},
		{may: []string{"handle rol-set", "handle role-set close", "unicast sender", "broadcast-all, log", "Close", "handle \xff"}, want: `may: unknown handler "rol-set"; did you mean role-set?
may: unknown handler "role-set close"; handlers are online-user-info, user-status-update, role-set, users-status-request
may: "unicast sender" says more than an action; write unicast
may: unknown action "broadcast-all, log"; did you mean broadcast-all?
may: unknown action "Close"; did you mean close?
may: unknown handler "\xff"; handlers are online-user-info, user-status-update, role-set, users-status-request`},
		{commands: []string{"CID_MSG_DTA", "0301", "9-8", "CID_MSG_DATA", "65536-CID_FILE_NOTIFI"}, want: `may_commands: unknown command "CID_MSG_DTA"; did you mean CID_MSG_DATA?
may_commands: "0301" is not a command id; is it 0x0301 or 301?
may_commands: the range 9-8 runs backwards; write 8-9
may_commands: "65536" is not a command id; ids go from 0x0000 to 0xffff
may_commands: unknown command "CID_FILE_NOTIFI"; did you mean CID_FILE_NOTIFY?`},
		{otherwise: "unicast", want: "may_else: unicast cannot be done with just any PDU; write drop, consume, close, broadcast-except-sender or broadcast-all"},
		{otherwise: "handle", want: "may_else: handle cannot be done with just any PDU; write drop, consume, close, broadcast-except-sender or broadcast-all"},
		{otherwise: "dorp", want: `may_else: unknown action "dorp"; did you mean drop?`},
		{otherwise: "action-200", want: `may_else: unknown action "action-200"; write drop, consume, close, broadcast-except-sender or broadcast-all`},
		{may: []string{"x"}, commands: []string{"y"}, otherwise: "z", want: `may: unknown action "x"; there are drop, consume, handle, unicast, broadcast-except-sender, broadcast-all, close, handle online-user-info, handle user-status-update, handle role-set, handle users-status-request
may_commands: unknown command "y"; write its name as in docs/protocol.md, or its id, such as 0x0301
may_else: unknown action "z"; write drop, consume, close, broadcast-except-sender or broadcast-all`},
	} {
		e, err := ParseEffects(tt.may, tt.commands, tt.otherwise)
		if err == nil || e != nil || err.Error() != tt.want {
			t.Errorf("ParseEffects(%q, %q, %q) = %v,\n%v\nwant\n%s", tt.may, tt.commands, tt.otherwise, e, err, tt.want)
			continue
		}
		for _, one := range err.(interface{ Unwrap() []error }).Unwrap() {
			if entry, ok := one.(*EntryError); !ok || entry.Key == "" || entry.What == "" || entry.Remedy == "" {
				t.Errorf("one error is %#v, want a whole *EntryError", one)
			}
		}
	}
}

// The model of a limit is a list of what may be, and a look through it.
func FuzzAllows(f *testing.F) {
	f.Add(uint16(0), uint16(0x0301), uint16(0x0302), true, uint64(abi.BroadcastAll), uint16(0x0301))
	f.Add(uint16(1<<3), uint16(0), uint16(0xffff), true, uint64(abi.Unicast|abi.ElseBroadcast), uint16(9))
	f.Add(uint16(1<<2), uint16(9), uint16(9), false, uint64(handler(3)), uint16(9))
	f.Add(uint16(1<<9), uint16(9), uint16(9), false, uint64(handler(3)), uint16(9))
	f.Add(uint16(1<<4), uint16(9), uint16(9), false, uint64(abi.BroadcastAll|abi.Also), uint16(9))
	f.Fuzz(func(t *testing.T, set, lo, hi uint16, limited bool, verdict uint64, command uint16) {
		var may, commands []string
		for i, name := range EffectNames {
			if set>>i&1 != 0 {
				may = append(may, name)
			}
		}
		if limited && lo < hi {
			commands = []string{pdu.CommandID(lo).String() + "-" + pdu.CommandID(hi).String()}
		}
		v := Verdict(verdict)
		e := effects(t, may, commands, "close")
		if v.Check() != nil {
			allows(e, pdu.CommandID(command), v)
			return // whatever it says of what is not a verdict, it does not panic
		}
		want := v.Action() == Drop || modelAllows(may, v) && (commands == nil || lo <= command && command <= hi)
		if got := allows(e, pdu.CommandID(command), v); got != want {
			t.Errorf("may %q of %q: %v for %v: %v, want %v", may, commands, v, pdu.CommandID(command), got, want)
		}
	})
}

func modelAllows(may []string, v Verdict) bool {
	if len(may) == 0 {
		return true
	}
	spelled, _, _ := strings.Cut(v.String(), ",")
	named := slices.Contains(may, spelled) || slices.Contains(may, strings.Fields(spelled)[0])
	if v.Has(abi.Also) && !slices.Contains(may, "unicast") {
		return false // what goes to a group besides is a unicast
	}
	if strings.HasPrefix(spelled, "unicast") && strings.Contains(v.String(), "else-broadcast") {
		return named && slices.Contains(may, "broadcast-except-sender")
	}
	return named
}
