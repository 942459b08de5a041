package table

import (
	"fmt"

	"github.com/BurntSushi/toml"

	"switchyard/pdu"
	"switchyard/policy/command"
)

// command returns the command that the word names.
func (p *parser) command(key toml.Key, word string) (pdu.CommandID, bool) {
	id, problem := command.ID(word)
	if problem == nil {
		problem = p.customName(word)
	}
	if problem != nil {
		p.problem(key, problem)
	}
	return id, problem == nil
}

// customName notes that the table depends on the configuration if the word names a custom command. A table
// that comes alone must not: a sum or a signature is about its text only. Other words are not a problem.
func (p *parser) customName(word string) *command.Problem {
	c, ok := pdu.CommandByName(word)
	if !ok || !c.ID.IsCustom() {
		return nil
	}
	if p.alone {
		return &command.Problem{What: fmt.Sprintf("%s is a name of this configuration, which a table that comes alone, as from an address, cannot use", word),
			Remedy: fmt.Sprintf("write 0x%04x, or write the table out: 'switchyard policy show --table FILE'", uint16(c.ID))}
	}
	p.table.custom = true
	return nil
}

// idOf returns a command as the text of a table writes it: by name if it is one of the protocol. The
// name of a custom one means something else under another configuration, and the text must not.
func idOf(c pdu.CommandID) string {
	if c.IsCustom() {
		return fmt.Sprintf("0x%04x", uint16(c))
	}
	return c.String()
}

// problem notes a fault of the command that is the last name of the key.
func (p *parser) problem(key toml.Key, problem *command.Problem) {
	remedy := problem.Remedy
	switch key[len(key)-1] {
	case "default", "otherwise", "*":
		remedy = "did you mean else?"
	case keyExtends:
		remedy = "write it above the first section"
	}
	p.faultAt(key, problem.What, remedy)
}

// messageOf returns the message of a command's body for the fields of its rule.
func (p *parser) messageOf(command pdu.CommandID) string {
	if command.IsCustom() {
		if p.alone {
			return ""
		}
		p.table.custom = true // a field by name has no meaning without the configuration
	}
	return messageOf(command)
}

// messageOf returns the full name of the command's message; empty if it is not known.
func messageOf(command pdu.CommandID) string {
	c, _ := pdu.CommandByID(command)
	return c.Message
}
