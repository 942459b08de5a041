package policy

import (
	"fmt"
	"slices"
	"strings"

	"switchyard/policy/abi"
	"switchyard/policy/command"
	"switchyard/policy/suggest"
)

// ParseVerdict is the inverse of Verdict.String. Blanks around words do not matter,
// numbers may be hexadecimal, and flags may come in any order. Verdict.Check accepts
// every result.
func ParseVerdict(text string) (Verdict, *command.Problem) {
	p := verdictParser{bind: named}
	return p.parse(text)
}

// A FieldNumber returns the number, 1–31, of the body field of that name. The number 0
// leaves the field out.
type FieldNumber func(name string) (int, *command.Problem)

// A Binder puts groups into a verdict: the one to which it sends, and the one that gets a copy as well.
// Either may be empty. Nil binds as the Verdict has them.
type Binder func(v Verdict, target, also string) (Verdict, *command.Problem)

// ParseRule reads a final verdict as a person writes it in a routing table. It differs
// from ParseVerdict in that body fields may be written by name, and that it refuses
// flags that ask for an inspection or that have no effect with the action.
func ParseRule(text string, number FieldNumber, bind Binder) (Verdict, *command.Problem) {
	p := verdictParser{isRule: true, number: number, bind: bind}
	if bind == nil {
		p.bind = named
	}
	return p.parse(text)
}

// named binds groups by the numbers that this process has given to their names, as a Verdict has them.
func named(v Verdict, target, also string) (Verdict, *command.Problem) {
	if target != "" {
		g, err := GroupNamed(target)
		if err != nil {
			return v, GroupProblem(err)
		}
		v |= argument(uint32(g))
	}
	if also != "" {
		g, err := GroupNamed(also)
		if err != nil {
			return v, GroupProblem(err)
		}
		v = v.WithAlso(g)
	}
	return v, nil
}

// GroupProblem returns an error of GroupNamed or CheckGroupName as a Problem: its remedy is what stands
// after the semicolon. It returns nil for nil.
func GroupProblem(err error) *command.Problem {
	if err == nil {
		return nil
	}
	what, remedy, _ := strings.Cut(err.Error(), "; ")
	return problem(remedy, "%s", what)
}

// A verdictParser reads one verdict. Its methods are in the order of the text:
//
//	unicast  fields 1 2 , not-sender , log
//	action   targets      flags
type verdictParser struct {
	isRule bool
	number FieldNumber // nil: fields are written by number
	bind   Binder

	target, also string // groups
}

func problem(remedy, format string, args ...any) *command.Problem {
	return &command.Problem{What: fmt.Sprintf(format, args...), Remedy: remedy}
}

// The remedies for an unknown word, if none is near enough to be meant.

var allActions = "actions are " + strings.Join(Actions[:], ", ")

func (p *verdictParser) parse(text string) (Verdict, *command.Problem) {
	parts := strings.Split(text, ",")
	v, wrong := p.parseAction(strings.Fields(parts[0]))
	for _, flag := range parts[1:] {
		if wrong == nil {
			v, wrong = p.addFlag(v, strings.TrimSpace(flag))
		}
	}
	if wrong == nil {
		v, wrong = p.bind(v, p.target, p.also)
	}
	if wrong != nil {
		return 0, wrong
	}
	return v, nil
}

func (p *verdictParser) parseAction(words []string) (Verdict, *command.Problem) {
	if len(words) == 0 {
		return 0, problem(allActions, "no action is written")
	}
	name, arguments := words[0], words[1:]
	action := slices.Index(Actions[:], name)
	switch {
	case action < 0:
		return 0, problem(suggest.Hint(name, Actions[:], allActions), "unknown action %q", name)
	case Action(action) == Handle:
		return parseHandle(arguments)
	case Action(action) == Unicast:
		return p.parseTargets(arguments)
	case len(arguments) > 0:
		return 0, problem("flags come after a comma", "%s takes nothing behind it, not %q", name, strings.Join(arguments, " "))
	}
	return Verdict(action), nil
}

var allHandlers = "handlers are " + strings.Join(Handlers[1:], ", ")

func parseHandle(arguments []string) (Verdict, *command.Problem) {
	if len(arguments) != 1 {
		return 0, problem(allHandlers, "handle takes one handler, not %d", len(arguments))
	}
	h, wrong := handlerNumber(arguments[0])
	return abi.Handle | argument(uint32(h)), wrong
}

// handlerNumber returns which of Handlers has the name.
func handlerNumber(name string) (int, *command.Problem) {
	h := slices.Index(Handlers[1:], name) + 1
	if h == 0 {
		return 0, problem(suggest.Hint(name, Handlers[1:], allHandlers), "unknown handler %q", name)
	}
	return h, nil
}

func argument(n uint32) Verdict { return Verdict(n) << abi.ArgumentShift }

// parseTargets reads whom a unicast goes to.
func (p *verdictParser) parseTargets(words []string) (Verdict, *command.Problem) {
	const forms = "write unicast sender, session N, user N, fields F…, master, or group NAME"
	if len(words) == 0 {
		return 0, problem(forms, "unicast to whom?")
	}
	name, rest := words[0], words[1:]
	selector := slices.Index(Selectors[:], name)
	var n uint32
	var wrong *command.Problem
	switch selector {
	case abi.ToSender, abi.ToMaster:
		if len(rest) > 0 {
			wrong = problem("flags come after a comma", "unicast %s takes nothing behind it, not %q", name, strings.Join(rest, " "))
		}
	case abi.ToSession, abi.ToUser:
		n, wrong = parseTarget(name, rest)
	case abi.ToFields:
		n, wrong = p.parseFields(rest)
	case abi.ToGroup:
		p.target, wrong = parseGroup("unicast group", rest)
	default:
		wrong = problem(suggest.Hint(name, Selectors[:], forms), "unknown target %q", name)
	}
	return abi.Unicast | Verdict(selector)<<abi.SelectorShift | argument(n), wrong
}

// parseGroup reads the name of a group behind what.
func parseGroup(what string, words []string) (string, *command.Problem) {
	if len(words) != 1 {
		return "", problem("write "+what+" archive", "%s takes one name, not %d", what, len(words))
	}
	return words[0], GroupProblem(CheckGroupName(words[0]))
}

// parseTarget reads the number of a session or a user.
func parseTarget(selector string, words []string) (uint32, *command.Problem) {
	if len(words) != 1 {
		return 0, problem("write unicast "+selector+" 7", "unicast %s takes one number, not %d", selector, len(words))
	}
	n, ok := command.ParseNumber(words[0])
	if !ok || n > 1<<32-1 {
		return 0, problem("write a number from 0 to 4294967295", "%q is not a %s's number", words[0], selector)
	}
	return uint32(n), nil
}

// parseFields reads body fields into bits: bit n is field n.
func (p *verdictParser) parseFields(words []string) (bits uint32, wrong *command.Problem) {
	if len(words) == 0 {
		return 0, problem("write the numbers of the fields that hold users, such as unicast fields 1 2", "unicast fields names no field")
	}
	for _, word := range words {
		n, wrong := p.parseField(word)
		switch {
		case wrong != nil:
			return 0, wrong
		case n != 0 && bits>>n&1 != 0:
			return 0, problem("keep one", "field %d is named twice", n)
		case n != 0:
			bits |= 1 << n
		}
	}
	return bits, nil
}

func (p *verdictParser) parseField(word string) (int, *command.Problem) {
	switch n, ok := command.ParseNumber(word); {
	case ok && 1 <= n && n <= 31:
		return int(n), nil
	case command.IsNumeric(word):
		return 0, problem("fields go from 1 to 31", "%q is not a field that a verdict can name", word)
	case p.number == nil:
		return 0, problem("write the field's number, such as unicast fields 1", "the field %q is written by name", word)
	}
	return p.number(word)
}

// addFlag adds the flag to v.
func (p *verdictParser) addFlag(v Verdict, name string) (Verdict, *command.Problem) {
	known := p.flagNames()
	all := "flags are " + strings.Join(known, ", ")
	flag := flagOf(name)
	switch words := strings.Fields(name); {
	case len(words) > 0 && words[0] == "also":
		return p.addAlso(v, words[1:])
	case name == "":
		return v, problem("remove the comma; "+all, "no flag is written behind a comma")
	case p.isRule && strings.HasPrefix(name, "inspect-"):
		return v, problem("write a policy in a language, see docs/policies.md", "a table cannot %s: it holds no code to look with", name)
	case flag == 0 && v.Action() == Unicast && v.Selector() == abi.ToFields:
		return v, problem(suggest.Hint(name, known, all+"; fields are parted by blanks"), "unknown flag %q", name)
	case flag == 0:
		return v, problem(suggest.Hint(name, known, all), "unknown flag %q", name)
	case v.Has(flag):
		return v, problem("keep one", "the flag %s is written twice", name)
	case p.isRule:
		return v | flag, idle(v, flag)
	}
	return v | flag, nil
}

// RuleFlags returns the flags that a rule of a table may have.
func RuleFlags() []string { return (&verdictParser{isRule: true}).flagNames() }

// flagNames returns the flags that may be written.
func (p *verdictParser) flagNames() []string {
	names := []string{"log", "not-sender", "else-broadcast", alsoGroup + "NAME"}
	if !p.isRule {
		names = append(names, "inspect-header", "inspect-body")
	}
	return names
}

// addAlso adds the group that gets a copy as well.
func (p *verdictParser) addAlso(v Verdict, words []string) (Verdict, *command.Problem) {
	switch {
	case len(words) == 0 || words[0] != "group":
		return v, problem("write also group archive", "also what?")
	case p.also != "":
		return v, problem("keep one; a peer can be in several groups", "also group is written twice")
	case v.Action() == Handle:
		return v, problem("what a handler sends goes to all peers or to the sender alone; remove it", "also group does nothing with handle")
	case !v.sends():
		return v, problem("write unicast group "+strings.Join(words[1:], " "), "also group does nothing with %v, which sends nothing", v.Action())
	}
	var wrong *command.Problem
	if p.also, wrong = parseGroup("also group", words[1:]); wrong == nil && p.also == p.target {
		wrong = problem("remove also group", "the group %s gets the PDU already", p.also)
	}
	return v, wrong
}

func flagOf(name string) Verdict {
	for _, f := range flagNames {
		if f.name == name {
			return f.flag
		}
	}
	return 0
}

// idle says why the flag has no effect with v, or a wrong one; nil if it has its effect. A rule with such
// a flag was meant otherwise, so it is refused:
//
//	flag             has an effect with
//	log              every action
//	not-sender       unicast, but not unicast sender
//	else-broadcast   unicast user, unicast fields
func idle(v, flag Verdict) *command.Problem {
	unicast := v.Action() == Unicast
	switch byUser := v.Selector() == abi.ToUser || v.Selector() == abi.ToFields; {
	case flag == abi.NotSender && v.Action() == BroadcastAll:
		return problem("write broadcast-except-sender", "not-sender does nothing with broadcast-all")
	case flag == abi.NotSender && !unicast:
		return problem("it goes with unicast; remove it", "not-sender does nothing with %s", v.Action())
	case flag == abi.NotSender && v.Selector() == abi.ToSender:
		return problem("write drop", "unicast sender, not-sender reaches nobody")
	case flag == abi.ElseBroadcast && !unicast:
		return problem("it goes with unicast user and unicast fields; remove it", "else-broadcast does nothing with %s", v.Action())
	case flag == abi.ElseBroadcast && !byUser:
		return problem("remove it", "else-broadcast does nothing with unicast %s, which names no user", Selectors[v.Selector()])
	}
	return nil
}
