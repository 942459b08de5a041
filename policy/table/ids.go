package table

import (
	"github.com/BurntSushi/toml"

	"switchyard/pdu"
	"switchyard/policy/command"
)

// command returns the command that the word names.
func (p *parser) command(key toml.Key, word string) (pdu.CommandID, bool) {
	id, problem := command.ID(word)
	if problem != nil {
		p.problem(key, problem)
	}
	return id, problem == nil
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

func messageOf(command pdu.CommandID) string {
	c, _ := pdu.CommandByID(command)
	return c.Message
}
