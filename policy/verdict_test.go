package policy

import (
	"strings"
	"testing"

	"switchyard/policy/abi"
	"switchyard/policy/command"
)

func TestGuestVerdict(t *testing.T) {
	for _, tt := range []struct {
		v    Verdict
		want string // part of the error, "" for none
	}{
		{0, ""},
		{abi.BroadcastAll | abi.Log, ""},
		{abi.Handle | abi.UsersStatusRequest<<abi.ArgumentShift, ""},
		{abi.Unicast | abi.ToFields<<abi.SelectorShift | 1<<(32+31), ""},
		{abi.Unicast | abi.ToMaster<<abi.SelectorShift, ""},
		{1 << 20, "reserved bits"},
		{1 << 25, "reserved bits"},
		{abi.BroadcastAll | 1<<31, ""},
		{abi.Drop | 1<<26, "drop sends nothing"},
		{abi.Handle | abi.RoleSet<<abi.ArgumentShift | 1<<26, "users and their role"},
		{abi.Handle | 5<<abi.ArgumentShift | 1<<26, "handler 5"},
		{1 << 13, "reserved flags"},
		{1 << 15, "reserved flags"},
		{7, "action 7"},
		{255, "action 255"},
		{abi.Handle, "handler 0"},
		{abi.Handle | 5<<abi.ArgumentShift, "handler 5"},
		{abi.Unicast | 5<<abi.SelectorShift, "selector 5"},
		{abi.Unicast | abi.ToFields<<abi.SelectorShift, "body fields"},
		{abi.Unicast | abi.ToFields<<abi.SelectorShift | 1<<32, "body fields"},
	} {
		_, err := GuestVerdict(uint64(tt.v), nil)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("GuestVerdict(%#x) = %v, want %q", uint64(tt.v), err, tt.want)
		}
	}
}

func TestVerdictString(t *testing.T) {
	for want, v := range map[string]Verdict{
		"drop":                         0,
		"broadcast-except-sender, log": abi.BroadcastExceptSender | abi.Log,
		"handle role-set":              abi.Handle | abi.RoleSet<<abi.ArgumentShift,
		"unicast user 7, not-sender":   abi.Unicast | abi.ToUser<<abi.SelectorShift | 7<<abi.ArgumentShift | abi.NotSender,
		"unicast fields 1 2, else-broadcast": abi.Unicast | abi.ToFields<<abi.SelectorShift |
			6<<abi.ArgumentShift | abi.ElseBroadcast,
	} {
		if got := v.String(); got != want {
			t.Errorf("String = %q, want %q", got, want)
		}
	}
}

// everyVerdict calls f with the verdicts of every action, handler, selector and set of
// flags, with some arguments where any number is one.
func everyVerdict(f func(Verdict)) {
	heads := []Verdict{abi.Drop, abi.Consume, abi.BroadcastExceptSender, abi.BroadcastAll, abi.Close}
	for h := range Handlers[1:] {
		heads = append(heads, abi.Handle|argument(uint32(h+1)))
	}
	for s := range Selectors {
		arguments := []uint32{0}
		switch s {
		case abi.ToSession, abi.ToUser:
			arguments = []uint32{0, 1, 769, 1<<32 - 1}
		case abi.ToFields:
			arguments = []uint32{1 << 1, 1 << 31, 1<<2 | 1<<7, 1<<32 - 2}
		case abi.ToGroup:
			arguments = []uint32{uint32(testGroup("east"))}
		}
		for _, n := range arguments {
			heads = append(heads, abi.Unicast|Verdict(s)<<abi.SelectorShift|argument(n))
		}
	}
	for _, head := range heads {
		for flags := range Verdict(1 << len(flagNames)) {
			v := head
			for i, flag := range flagNames {
				v |= flag.flag * (flags >> i & 1)
			}
			f(v)
			if v.sends() {
				f(v.WithAlso(testGroup("archive")))
			}
		}
	}
}

// testGroup returns the group of that name.
func testGroup(name string) Group {
	g, err := GroupNamed(name)
	if err != nil {
		panic(err)
	}
	return g
}

func TestParseVerdictReadsWhatStringWrites(t *testing.T) {
	seen := map[string]bool{}
	everyVerdict(func(v Verdict) {
		if err := v.Check(); err != nil {
			t.Fatal(err)
		}
		seen[v.String()] = true
		if got, wrong := ParseVerdict(v.String()); wrong != nil || got != v {
			t.Errorf("ParseVerdict(%q) = %#x, %v; want %#x", v, uint64(got), wrong, uint64(v))
		}
	})
	if want := (5 + 4 + 2 + 4 + 4 + 4 + 1 + 2 + 2 + 4 + 4 + 4 + 1) * 32; len(seen) != want {
		t.Errorf("%d spellings of verdicts, want %d", len(seen), want)
	}
}

func TestParseVerdictIsLenientAboutSpelling(t *testing.T) {
	for text, want := range map[string]Verdict{
		" drop ,log":                   abi.Drop | abi.Log,
		"unicast  session 0x10":        abi.Unicast | abi.ToSession<<abi.SelectorShift | argument(16),
		"unicast fields 0x2 1":         abi.Unicast | abi.ToFields<<abi.SelectorShift | argument(6),
		"close, inspect-body, log":     abi.Close | abi.InspectBodyOf | abi.Log,
		"drop, log, inspect-header":    abi.Drop | abi.InspectHeader | abi.Log,
		"broadcast-all,\tnot-sender\t": abi.BroadcastAll | abi.NotSender,
	} {
		if got, wrong := ParseVerdict(text); wrong != nil || got != want {
			t.Errorf("ParseVerdict(%q) = %v, %v; want %v", text, got, wrong, want)
		}
	}
}

// Both readers refuse what is not a verdict and say what to write instead. Where a rule has
// a message of its own, it is in the third column.
func TestParseVerdictRefuses(t *testing.T) {
	const (
		actions  = "actions are drop, consume, handle, unicast, broadcast-except-sender, broadcast-all, close"
		handlers = "handlers are online-user-info, user-status-update, role-set, users-status-request"
		flags    = "flags are log, not-sender, else-broadcast, also group NAME"
	)
	for _, tt := range []struct{ text, want, rule string }{
		{"", "no action is written; " + actions, ""},
		{", log", "no action is written; " + actions, ""},
		{"brodcast-all", `unknown action "brodcast-all"; did you mean broadcast-all?`, ""},
		{"action-9", `unknown action "action-9"; ` + actions, ""},
		{"drop log", `drop takes nothing behind it, not "log"; flags come after a comma`, ""},
		{"handle", "handle takes one handler, not 0; " + handlers, ""},
		{"handle role-set x", "handle takes one handler, not 2; " + handlers, ""},
		{"handle roleset", `unknown handler "roleset"; did you mean role-set?`, ""},
		{"unicast", "unicast to whom?; write unicast sender, session N, user N, fields F…, master, or group NAME", ""},
		{"unicast sendr", `unknown target "sendr"; did you mean sender?`, ""},
		{"unicast selector-9", `unknown target "selector-9"; write unicast sender, session N, user N, fields F…, master, or group NAME`, ""},
		{"unicast master 7", `unicast master takes nothing behind it, not "7"; flags come after a comma`, ""},
		{"unicast session", "unicast session takes one number, not 0; write unicast session 7", ""},
		{"unicast user bob", `"bob" is not a user's number; write a number from 0 to 4294967295`, ""},
		{"unicast user 4294967296", `"4294967296" is not a user's number; write a number from 0 to 4294967295`, ""},
		{"unicast fields", "unicast fields names no field; write the numbers of the fields that hold users, such as unicast fields 1 2", ""},
		{"unicast fields 0", `"0" is not a field that a verdict can name; fields go from 1 to 31`, ""},
		{"unicast fields 32", `"32" is not a field that a verdict can name; fields go from 1 to 31`, ""},
		{"unicast fields 3 1 3", "field 3 is named twice; keep one", ""},
		{"unicast fields peer", `the field "peer" is written by name; write the field's number, such as unicast fields 1`, `no field "peer"; write 1`},
		{"drop, ", "no flag is written behind a comma; remove the comma; " + flags + ", inspect-header, inspect-body",
			"no flag is written behind a comma; remove the comma; " + flags},
		{"drop, lgo", `unknown flag "lgo"; did you mean log?`, ""},
		{"drop, quietly", `unknown flag "quietly"; ` + flags + ", inspect-header, inspect-body", `unknown flag "quietly"; ` + flags},
		{"unicast fields 1, 2", `unknown flag "2"; ` + flags + ", inspect-header, inspect-body; fields are parted by blanks",
			`unknown flag "2"; ` + flags + "; fields are parted by blanks"},
		{"drop, log, log", "the flag log is written twice; keep one", ""},
		{"unicast group", "unicast group takes one name, not 0; write unicast group archive", ""},
		{"unicast group Archive", `"Archive" is not a group's name; write 1 to 40 of a-z, 0-9 and -`, ""},
		{"unicast group master", `"master" stands for the peers that declared themselves master; choose another name`, ""},
		{"unicast group archive, also group archive", "the group archive gets the PDU already; remove also group", ""},
		{"broadcast-all, also archive", "also what?; write also group archive", ""},
		{"broadcast-all, also group a b", "also group takes one name, not 2; write also group archive", ""},
		{"broadcast-all, also group a, also group b", "also group is written twice; keep one; a peer can be in several groups", ""},
		{"drop, also group archive", "also group does nothing with drop, which sends nothing; write unicast group archive", ""},
		{"handle role-set, also group archive", "also group does nothing with handle; what a handler sends goes to all peers or to the sender alone; remove it", ""},
	} {
		noField := func(name string) (int, *command.Problem) { return 0, problem("write 1", "no field %q", name) }
		if got, wrong := ParseVerdict(tt.text); wrong == nil || wrong.Error() != tt.want || got != 0 {
			t.Errorf("ParseVerdict(%q) = %v, %v; want %s", tt.text, got, wrong, tt.want)
		}
		if tt.rule == "" {
			tt.rule = tt.want
		}
		if got, wrong := ParseRule(tt.text, noField, nil); wrong == nil || wrong.Error() != tt.rule || got != 0 {
			t.Errorf("ParseRule(%q) = %v, %v; want %s", tt.text, got, wrong, tt.rule)
		}
	}
}

// ParseRule reads the final verdicts whose flags all have an effect, and no others.
func TestParseRuleReadsFinalVerdicts(t *testing.T) {
	for text, want := range map[string]string{
		"drop, inspect-header":                   "a table cannot inspect-header: it holds no code to look with; write a policy in a language, see docs/policies.md",
		"drop, not-sender":                       "not-sender does nothing with drop; it goes with unicast; remove it",
		"broadcast-all, not-sender":              "not-sender does nothing with broadcast-all; write broadcast-except-sender",
		"unicast sender, not-sender":             "unicast sender, not-sender reaches nobody; write drop",
		"close, else-broadcast":                  "else-broadcast does nothing with close; it goes with unicast user and unicast fields; remove it",
		"unicast session 1, log, else-broadcast": "else-broadcast does nothing with unicast session, which names no user; remove it",
	} {
		if v, wrong := ParseRule(text, nil, nil); wrong == nil || wrong.Error() != want {
			t.Errorf("ParseRule(%q) = %v, %v; want %s", text, v, wrong, want)
		}
	}
	everyVerdict(func(v Verdict) {
		unicast, byUser := v.Action() == Unicast, v.Selector() == abi.ToUser || v.Selector() == abi.ToFields
		final := !v.Inspected() &&
			(!v.Has(abi.NotSender) || unicast && v.Selector() != abi.ToSender) &&
			(!v.Has(abi.ElseBroadcast) || unicast && byUser)
		got, wrong := ParseRule(v.String(), nil, nil)
		if (wrong == nil) != final || final && got != v {
			t.Errorf("ParseRule(%q) = %v, %v", v, got, wrong)
		}
	})
}

func TestParseRuleNamesFields(t *testing.T) {
	byName := func(name string) (int, *command.Problem) { return map[string]int{"from": 1, "to": 2}[name], nil }
	for text, want := range map[string]Verdict{
		"unicast fields from to":     abi.Unicast | abi.ToFields<<abi.SelectorShift | argument(6),
		"unicast fields from 31":     abi.Unicast | abi.ToFields<<abi.SelectorShift | argument(1<<31|2),
		"unicast fields other to":    abi.Unicast | abi.ToFields<<abi.SelectorShift | argument(4), // 0 leaves the field out
		"unicast fields other other": abi.Unicast | abi.ToFields<<abi.SelectorShift,
	} {
		if got, wrong := ParseRule(text, byName, nil); wrong != nil || got != want {
			t.Errorf("ParseRule(%q) = %v, %v; want %v", text, got, wrong, want)
		}
	}
	if v, wrong := ParseRule("unicast fields 2 to", byName, nil); wrong == nil || wrong.What != "field 2 is named twice" {
		t.Errorf("got %v, %v", v, wrong)
	}
}

// Every text is a verdict whose spelling reads back, or has a fault with a remedy.
func FuzzParseVerdict(f *testing.F) {
	for _, text := range []string{"drop", "handle role-set, log", "unicast fields 1 0x1f, else-broadcast", "unicast user 4294967295", "drop,,", "\xff, \x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, wrong := ParseVerdict(text)
		if wrong != nil {
			if wrong.What == "" || wrong.Remedy == "" || v != 0 {
				t.Fatalf("ParseVerdict(%q) = %v, %+v", text, v, wrong)
			}
			return
		}
		if err := v.Check(); err != nil {
			t.Fatalf("ParseVerdict(%q): %v", text, err)
		}
		if again, wrong := ParseVerdict(v.String()); wrong != nil || again != v {
			t.Fatalf("ParseVerdict(%q) = %v, which reads as %v, %v", text, v, again, wrong)
		}
	})
}

// Every word that is a verdict keeps its meaning when it is spelled and read: only bits
// that its action does not use are lost.
func FuzzVerdictSpelling(f *testing.F) {
	f.Add(uint64(0))
	f.Add(uint64(7<<abi.ArgumentShift | abi.ToUser<<abi.SelectorShift | abi.Unicast))
	f.Add(uint64(1<<63 | abi.Close | abi.Log))
	f.Fuzz(func(t *testing.T, word uint64) {
		v := Verdict(word).WithLimit(0) // which its spelling does not tell
		if v.Check() != nil {
			return
		}
		got, wrong := ParseVerdict(v.String())
		if wrong != nil || got.String() != v.String() || got&^v != 0 {
			t.Fatalf("%#x is spelled %q, which reads as %#x, %v", word, v, uint64(got), wrong)
		}
	})
}
