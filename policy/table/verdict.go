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

// anyMessage stands for the message of a command that is a fault by itself: any name may
// be a field of it.
const anyMessage = "*"

// verdict reads the verdict that the rule at key holds. message is that of the rule's
// command, and empty where the rule has no single known command.
func (p *parser) verdict(key toml.Key, message string) (policy.Verdict, bool) {
	text, ok := p.value(key).(string)
	if !ok {
		rule := key[len(key)-1:].String()
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

// fieldsOf returns how to find a message's fields by name.
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
