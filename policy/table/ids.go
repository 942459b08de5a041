package table

import (
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"

	"switchyard/pdu"
	"switchyard/policy/command"
	"switchyard/policy/nearest"
)

// command returns the command that the word names.
func (p *parser) command(key toml.Key, word string) (pdu.CommandID, bool) {
	id, problem := command.ID(word)
	if problem != nil {
		p.problem(key, problem)
	}
	return id, problem == nil
}

// problem notes what is wrong with a command of the key.
func (p *parser) problem(key toml.Key, problem *command.Problem) {
	remedy := problem.Remedy
	switch key[len(key)-1] {
	case "default", "otherwise", "*":
		remedy = "did you mean else?"
	}
	p.faultAt(key, problem.What, remedy)
}

// serviceID returns the service that the header names.
func (p *parser) serviceID(key toml.Key) (pdu.ServiceID, bool) {
	word := key[1]
	if id, ok := parseService(word); ok {
		return id, true
	}
	if !command.IsNumeric(word) {
		p.faultAt(key, fmt.Sprintf("unknown service %q", word), nearest.Hint(word, serviceNames, "services are "+strings.Join(serviceNames, ", ")))
		return 0, false
	}
	_, problem := command.ParseID(word)
	p.faultAt(key, fmt.Sprintf("%q is no service id", word), problem)
	return 0, false
}

func parseService(word string) (pdu.ServiceID, bool) {
	if id, ok := serviceIDs[word]; ok {
		return id, true
	}
	id, problem := command.ParseID(word)
	return pdu.ServiceID(id), problem == ""
}

var serviceNames, serviceIDs = func() (names []string, ids map[string]pdu.ServiceID) {
	ids = map[string]pdu.ServiceID{}
	for id := pdu.SID_LOGIN; id <= pdu.SID_INTERNAL; id++ {
		names = append(names, id.String())
		ids[id.String()] = id
	}
	return names, ids
}()

func messageOf(command pdu.CommandID) string {
	c, _ := pdu.CommandByID(command)
	return c.Message
}
