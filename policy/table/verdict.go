package table

import (
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/command"
	"switchyard/policy/suggest"
)

// ParseVerdict reads the verdict of a rule for one command, which may name fields of that
// command's body.
func ParseVerdict(text string, c pdu.CommandID) (policy.Verdict, *command.Problem) {
	return policy.ParseRule(text, fieldsOf(messageOf(c)))
}

// anyMessage is the message of an unknown command, which is a fault of its own. Every name
// is accepted as one of its fields.
const anyMessage = "*"

// verdict reads the verdict of the rule at key. message is the message of the rule's
// command, and empty for a rule without a single command.
func (p *parser) verdict(key toml.Key, message string) (policy.Verdict, bool) {
	text, ok := p.value(key).(string)
	if !ok {
		rule := key[len(key)-1:].String()
		if _, isSection := p.value(key).(map[string]any); isSection && message == "" {
			p.faultAt(key, fmt.Sprintf("the rule %s is a section", rule), "only a single command can have cases; write them for each")
			return 0, false
		}
		p.faultAt(key, fmt.Sprintf("the rule %s is not a string", rule),
			fmt.Sprintf(`write %s = "ACTION"; actions are %s`, rule, strings.Join(policy.Actions[:], ", ")))
		return 0, false
	}
	v, problem := policy.ParseRule(text, fieldsOf(message))
	if problem != nil {
		p.faultAt(key, problem.What, problem.Remedy)
	}
	return v, problem == nil
}

// fieldsOf returns a lookup of a message's fields by name.
func fieldsOf(message string) policy.FieldNumber {
	return func(name string) (int, *command.Problem) {
		switch message {
		case anyMessage:
			return 0, nil
		case "":
			return 0, &command.Problem{What: fmt.Sprintf("the rule has no one known command to find the field %q in", name),
				Remedy: "write the field's number, such as unicast fields 1"}
		}
		return fieldIn(message, name)
	}
}

func fieldIn(message, name string) (int, *command.Problem) {
	var names []string
	for _, f := range userFields[message] {
		if f.name == name {
			return f.number, nil
		}
		names = append(names, f.name)
	}
	if len(names) == 0 {
		return 0, &command.Problem{What: fmt.Sprintf("no field of %s is known to hold users, %q neither", message, name),
			Remedy: "write the field's number if it does"}
	}
	return 0, &command.Problem{What: fmt.Sprintf("%s has no field %q that holds users", message, name),
		Remedy: suggest.Hint(name, names, "those that do are "+strings.Join(names, ", "))}
}
