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
// command's body, and its rate limit. A verdict with a limit has the number 1 of one.
func ParseVerdict(text string, c pdu.CommandID) (policy.Verdict, policy.RateLimit, *command.Problem) {
	d, problem := parseDecision(text, fieldsOf(messageOf(c)), nil)
	if d.limit != (policy.RateLimit{}) {
		d.verdict = d.verdict.WithLimit(1)
	}
	return d.verdict, d.limit, problem
}

// anyMessage is the message of an unknown command, which is a fault of its own. Every name
// is accepted as one of its fields.
const anyMessage = "*"

// verdict reads the verdict of the rule at key. message is the message of the rule's
// command, and empty for a rule without a single command.
func (p *parser) verdict(key toml.Key, message string) (decision, bool) {
	text, ok := p.value(key).(string)
	if !ok {
		rule := key[len(key)-1:].String()
		if _, isSection := p.value(key).(map[string]any); isSection && message == "" {
			p.faultAt(key, fmt.Sprintf("the rule %s is a section", rule), "only a single command can have cases; write them for each")
			return decision{}, false
		}
		p.faultAt(key, fmt.Sprintf("the rule %s is not a string", rule),
			fmt.Sprintf(`write %s = "ACTION"; actions are %s`, rule, strings.Join(policy.Actions[:], ", ")))
		return decision{}, false
	}
	d, problem := parseDecision(text, fieldsOf(message), p.numbers.bind)
	if problem != nil {
		p.faultAt(key, problem.What, problem.Remedy)
	}
	d.at = Place{p.file, p.line(key)}
	return d, problem == nil
}

// parseDecision reads a row. The limit is cut out first, as it is not part of a verdict but of the table
// around it:
//
//	"unicast fields to_user_id, limit 5/s per peer, log"
//	 └ ParseRule: unicast fields 2, log   └ CutLimit
func parseDecision(text string, number policy.FieldNumber, bind policy.Binder) (d decision, problem *command.Problem) {
	text, d.limit, problem = policy.CutLimit(text)
	if problem != nil {
		return d, problem
	}
	if d.verdict, problem = policy.ParseRule(text, number, bind); problem != nil {
		return d, problem
	}
	if why := d.verdict.Limitable(); why != "" && d.limit != (policy.RateLimit{}) {
		return d, &command.Problem{What: "a limit: " + why, Remedy: "remove the limit"}
	}
	return d, nil
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

// fieldIn returns the number of a field of a message. A field that holds no user is refused, as a
// unicast to it would go to the holders of whatever user has that number.
func fieldIn(message, name string) (int, *command.Problem) {
	var names []string
	for _, f := range usersIn(message) {
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
