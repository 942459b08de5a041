package table

import (
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/command"
	"switchyard/policy/suggest"
)

// anyMessage stands for the message of a command that is a fault by itself: any
// name may be a field of it.
const anyMessage = "*"

// verdict reads the verdict that the rule at key holds. message is that of the
// rule's command, and empty where the rule has no single known command.
func (p *parser) verdict(key toml.Key, message string) (policy.Verdict, bool) {
	text, ok := p.value(key).(string)
	if !ok {
		rule := key[len(key)-1:].String()
		p.faultAt(key, fmt.Sprintf("the rule %s is not a string", rule), fmt.Sprintf(`write %s = "ACTION"; actions are %s`, rule, actionNames))
		return 0, false
	}
	v, what, remedy := parseVerdict(text, message)
	if what != "" {
		p.faultAt(key, what, remedy)
	}
	return v, what == ""
}

var actionNames = strings.Join(policy.Actions[:], ", ")

// parseVerdict reads "action arguments, flag, flag", or returns a fault.
func parseVerdict(text, message string) (v policy.Verdict, what, remedy string) {
	parts := strings.Split(text, ",")
	words := strings.Fields(parts[0])
	if len(words) == 0 {
		return 0, "no action is written", "actions are " + actionNames
	}
	action := slices.Index(policy.Actions[:], words[0])
	v, arguments := policy.Verdict(action), words[1:]
	switch policy.Action(action) {
	case policy.Handle:
		v, what, remedy = parseHandler(arguments)
	case policy.Unicast:
		v, what, remedy = parseTargets(arguments, message)
	default:
		switch {
		case action < 0:
			return 0, fmt.Sprintf("unknown action %q", words[0]), suggest.Hint(words[0], policy.Actions[:], "actions are "+actionNames)
		case len(arguments) > 0:
			return 0, fmt.Sprintf("%s takes nothing behind it, not %q", words[0], strings.Join(arguments, " ")), "flags come after a comma"
		}
	}
	for _, flag := range parts[1:] {
		if what != "" {
			break
		}
		v, what, remedy = addFlag(v, strings.TrimSpace(flag))
	}
	return v, what, remedy
}

func parseHandler(arguments []string) (v policy.Verdict, what, remedy string) {
	handlers := policy.Handlers[1:]
	all := "handlers are " + strings.Join(handlers, ", ")
	if len(arguments) != 1 {
		return 0, fmt.Sprintf("handle takes one handler, not %d", len(arguments)), all
	}
	h := slices.Index(handlers, arguments[0])
	if h < 0 {
		return 0, fmt.Sprintf("unknown handler %q", arguments[0]), suggest.Hint(arguments[0], handlers, all)
	}
	return abi.Handle | policy.Verdict(h+1)<<abi.ArgumentShift, "", ""
}

// parseTargets reads whom a unicast goes to.
func parseTargets(arguments []string, message string) (v policy.Verdict, what, remedy string) {
	const forms = "write unicast sender, session N, user N, fields F…, or master"
	if len(arguments) == 0 {
		return 0, "unicast to whom?", forms
	}
	selector := slices.Index(policy.Selectors[:], arguments[0])
	v = abi.Unicast | policy.Verdict(selector)<<abi.SelectorShift
	var argument uint32
	switch rest := arguments[1:]; selector {
	case abi.ToSender, abi.ToMaster:
		if len(rest) > 0 {
			return 0, fmt.Sprintf("unicast %s takes nothing behind it, not %q", arguments[0], strings.Join(rest, " ")), "flags come after a comma"
		}
	case abi.ToSession, abi.ToUser:
		argument, what, remedy = parseTarget(arguments[0], rest)
	case abi.ToFields:
		argument, what, remedy = parseFields(rest, message)
	default:
		return 0, fmt.Sprintf("unknown target %q", arguments[0]), suggest.Hint(arguments[0], policy.Selectors[:], forms)
	}
	return v | policy.Verdict(argument)<<abi.ArgumentShift, what, remedy
}

func parseTarget(selector string, rest []string) (n uint32, what, remedy string) {
	if len(rest) != 1 {
		return 0, fmt.Sprintf("unicast %s takes one number, not %d", selector, len(rest)), fmt.Sprintf("write unicast %s 7", selector)
	}
	number, ok := command.ParseNumber(rest[0])
	if !ok || number > 1<<32-1 {
		return 0, fmt.Sprintf("%q is no %s's number", rest[0], selector), "write a number from 0 to 4294967295"
	}
	return uint32(number), "", ""
}

// parseFields reads numbers and names of body fields into bits.
func parseFields(words []string, message string) (bits uint32, what, remedy string) {
	if len(words) == 0 {
		return 0, "unicast fields names no field", "write the numbers of the fields that hold users, such as unicast fields 1 2"
	}
	for _, word := range words {
		if message == anyMessage && !command.IsNumeric(word) {
			continue
		}
		n, what, remedy := parseField(word, message)
		if what != "" {
			return 0, what, remedy
		}
		if bits>>n&1 != 0 {
			return 0, fmt.Sprintf("field %d is named twice", n), "keep one"
		}
		bits |= 1 << n
	}
	return bits, "", ""
}

func parseField(word, message string) (n int, what, remedy string) {
	if command.IsNumeric(word) {
		number, ok := command.ParseNumber(word)
		if !ok || number < 1 || number > 31 {
			return 0, fmt.Sprintf("%q is no field that a verdict can name", word), "fields go from 1 to 31"
		}
		return int(number), "", ""
	}
	if message == "" {
		return 0, fmt.Sprintf("the rule has no one known command to find the field %q in", word), "write the field's number, such as unicast fields 1"
	}
	known := userFields[message]
	for _, f := range known {
		if f.name == word {
			return f.number, "", ""
		}
	}
	if len(known) == 0 {
		return 0, fmt.Sprintf("no field of %s is known to hold users, %q neither", message, word), "write the field's number if it does"
	}
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.name
	}
	return 0, fmt.Sprintf("%s has no field %q that holds users", message, word),
		suggest.Hint(word, names, "those that do are "+strings.Join(names, ", "))
}

// flagBits are the flags of the language in the order of their names here.
var (
	flagNames = []string{"log", "not-sender", "else-broadcast"}
	flagBits  = []policy.Verdict{abi.Log, abi.NotSender, abi.ElseBroadcast}
)

// addFlag adds the flag to v, if it can do anything there.
func addFlag(v policy.Verdict, flag string) (_ policy.Verdict, what, remedy string) {
	all := "flags are " + strings.Join(flagNames, ", ")
	i := slices.Index(flagNames, flag)
	switch {
	case flag == "":
		return v, "no flag is written behind a comma", "remove the comma; " + all
	case strings.HasPrefix(flag, "inspect-"):
		return v, fmt.Sprintf("a table cannot %s: it holds no code to look with", flag), "write a policy in a language, see docs/policies.md"
	case i < 0 && v.Action() == policy.Unicast && v.Selector() == abi.ToFields:
		return v, fmt.Sprintf("unknown flag %q", flag), suggest.Hint(flag, flagNames, all+"; fields are parted by blanks")
	case i < 0:
		return v, fmt.Sprintf("unknown flag %q", flag), suggest.Hint(flag, flagNames, all)
	case v.Has(flagBits[i]):
		return v, fmt.Sprintf("the flag %s is written twice", flag), "keep one"
	}
	if what, remedy = idle(v, flagBits[i]); what != "" {
		return v, what, remedy
	}
	return v | flagBits[i], "", ""
}

// idle says why the flag does nothing with v, or worse.
func idle(v, flag policy.Verdict) (what, remedy string) {
	unicast := v.Action() == policy.Unicast
	switch byUser := v.Selector() == abi.ToUser || v.Selector() == abi.ToFields; {
	case flag == abi.NotSender && v.Action() == policy.BroadcastAll:
		return "not-sender does nothing with broadcast-all", "write broadcast-except-sender"
	case flag == abi.NotSender && !unicast:
		return fmt.Sprintf("not-sender does nothing with %s", v.Action()), "it goes with unicast; remove it"
	case flag == abi.NotSender && v.Selector() == abi.ToSender:
		return "unicast sender, not-sender reaches nobody", "write drop"
	case flag == abi.ElseBroadcast && !unicast:
		return fmt.Sprintf("else-broadcast does nothing with %s", v.Action()), "it goes with unicast user and unicast fields; remove it"
	case flag == abi.ElseBroadcast && !byUser:
		return fmt.Sprintf("else-broadcast does nothing with unicast %s, which names no user", policy.Selectors[v.Selector()]), "remove it"
	}
	return "", ""
}
