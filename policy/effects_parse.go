package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"switchyard/policy/command"
	"switchyard/policy/suggest"
)

// The keys of a tenant's configuration that limit its policy, as errors and faults
// name them.
const (
	KeyMay       = "may"
	KeyCommands  = "may_commands"
	KeyOtherwise = "may_else"
)

// An EntryError is one wrong entry of a limit.
type EntryError struct {
	Key    string // one of the keys above
	What   string
	Remedy string
}

func (e *EntryError) Error() string { return fmt.Sprintf("%s: %s; %s", e.Key, e.What, e.Remedy) }

// ParseEffects reads the three keys that limit a policy:
//
//	may        actions, and handlers as in "handle role-set"; "handle" is all handlers
//	commands   commands and ranges, spelled as in routing tables
//	otherwise  the action on a PDU whose verdict is not allowed; empty is drop
//
// An empty list means no limit. Without any limit the Effects are nil. An error unwraps to
// every wrong entry, an *EntryError each.
func ParseEffects(may, commands []string, otherwise string) (*Effects, error) {
	p := effectsParser{Effects: new(Effects)}
	p.parseMay(may)
	p.parseCommands(commands)
	p.parseOtherwise(otherwise)
	if err := errors.Join(p.wrong...); err != nil {
		return nil, err
	}
	if len(may) == 0 && len(commands) == 0 {
		return nil, nil
	}
	return p.Effects, nil
}

// An effectsParser collects every wrong entry, so that an operator can correct them at once.
type effectsParser struct {
	*Effects
	wrong []error
}

func (p *effectsParser) refuse(key, what, remedy string) {
	p.wrong = append(p.wrong, &EntryError{key, what, remedy})
}

func (p *effectsParser) parseMay(entries []string) {
	if len(entries) == 0 {
		p.actions, p.handlers = 1<<len(Actions)-1, everyHandler
	}
	for _, entry := range entries {
		words := strings.Fields(entry)
		if len(words) == 0 {
			p.refuse(KeyMay, "an entry is empty", "name an action, or remove it")
			continue
		}
		action := slices.Index(Actions[:], words[0])
		switch {
		case action < 0:
			p.refuse(KeyMay, fmt.Sprintf("unknown action %q", entry),
				suggest.Hint(entry, EffectNames, "there are "+strings.Join(EffectNames, ", ")))
		case Action(action) == Handle:
			p.parseHandler(words[1:])
		case len(words) > 1:
			p.refuse(KeyMay, fmt.Sprintf("%q says more than an action", entry), "write "+words[0])
		}
		if action >= 0 {
			p.actions |= 1 << action
		}
	}
}

const everyHandler = 1<<len(Handlers) - 2

// EffectNames is every entry that may can have: the actions, then "handle" with each
// handler.
var EffectNames = func() []string {
	names := slices.Clone(Actions[:])
	for _, h := range Handlers[1:] {
		names = append(names, "handle "+h)
	}
	return names
}()

// parseHandler reads the words behind handle; without any, every handler is meant.
func (p *effectsParser) parseHandler(words []string) {
	if len(words) == 0 {
		p.handlers |= everyHandler
		return
	}
	handler, wrong := handlerNumber(strings.Join(words, " "))
	if wrong != nil {
		p.refuse(KeyMay, wrong.What, wrong.Remedy)
		return
	}
	p.handlers |= 1 << handler
}

func (p *effectsParser) parseCommands(entries []string) {
	if len(entries) == 0 {
		return
	}
	p.commands = new([1 << 10]uint64)
	for _, entry := range entries {
		r, problems := command.Parse(entry)
		for _, problem := range problems {
			p.refuse(KeyCommands, problem.What, problem.Remedy)
		}
		if problems != nil {
			continue
		}
		for c := int(r.Lo); c <= int(r.Hi); c++ {
			p.commands[c/64] |= 1 << (c % 64)
		}
	}
}

// Fallbacks are the actions that can be done with any PDU, so that one of them can
// replace a verdict that must not take effect.
var Fallbacks = []string{Drop.String(), Consume.String(), Close.String(), BroadcastExceptSender.String(), BroadcastAll.String()}

func (p *effectsParser) parseOtherwise(word string) {
	all := "write " + strings.Join(Fallbacks[:4], ", ") + " or " + Fallbacks[4]
	action := slices.Index(Actions[:], word)
	switch {
	case word == "":
	case slices.Contains(Fallbacks, word):
		p.otherwise = Verdict(action)
	case action >= 0:
		p.refuse(KeyOtherwise, word+" cannot be done with just any PDU", all)
	default:
		p.refuse(KeyOtherwise, fmt.Sprintf("unknown action %q", word), suggest.Hint(word, Fallbacks, all))
	}
}
