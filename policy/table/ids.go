package table

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"switchyard/pdu"
	"switchyard/policy/nearest"
)

// command returns the command that the word names.
func (p *parser) command(key toml.Key, word string) (pdu.CommandID, bool) {
	if id, ok := commandIDs[word]; ok {
		return id, true
	}
	if !startsWithDigit(word) {
		p.faultAt(key, fmt.Sprintf("unknown command %q", word), nearCommand(word))
		return 0, false
	}
	id, problem := parseID(word)
	if problem != "" {
		p.faultAt(key, fmt.Sprintf("%q is no command id", word), problem)
		return 0, false
	}
	return pdu.CommandID(id), true
}

// namesCommand reports whether the word is meant for a command, so that a hyphen
// behind it makes a range.
func namesCommand(word string) bool {
	_, ok := commandIDs[word]
	return ok || startsWithDigit(word)
}

func nearCommand(word string) string {
	switch word {
	case "default", "otherwise", "*":
		return "did you mean else?"
	}
	return nearest.Hint(word, commandNames, "write its name as in docs/protocol.md, or its id, such as 0x0301")
}

// serviceID returns the service that the header names.
func (p *parser) serviceID(key toml.Key) (pdu.ServiceID, bool) {
	word := key[1]
	if id, ok := parseService(word); ok {
		return id, true
	}
	if !startsWithDigit(word) {
		p.faultAt(key, fmt.Sprintf("unknown service %q", word), nearest.Hint(word, serviceNames, "services are "+strings.Join(serviceNames, ", ")))
		return 0, false
	}
	_, problem := parseID(word)
	p.faultAt(key, fmt.Sprintf("%q is no service id", word), problem)
	return 0, false
}

func parseService(word string) (pdu.ServiceID, bool) {
	if id, ok := serviceIDs[word]; ok {
		return id, true
	}
	id, problem := parseID(word)
	return pdu.ServiceID(id), problem == ""
}

// parseID reads an id of 16 bits, 0x0301 or 769, or says what to write instead.
func parseID(word string) (id uint16, problem string) {
	n, ok := parseNumber(word)
	switch {
	case !ok && len(word) > 1 && strings.Trim(word, "0123456789") == "":
		return 0, fmt.Sprintf("is it 0x%s or %s?", word, cmp.Or(strings.TrimLeft(word, "0"), "0"))
	case !ok:
		return 0, "write it as 0x0301 or as 769"
	case n > 0xffff:
		return 0, "ids go from 0x0000 to 0xffff"
	}
	return uint16(n), ""
}

// parseNumber reads 0x0301 or 769. A decimal number does not begin with 0: it
// would be taken for a hexadecimal one whose 0x was forgotten. Numbers of more
// than 32 bits come out as some number of more than 32 bits.
func parseNumber(word string) (uint64, bool) {
	digits, base := word, 10
	if hex, ok := strings.CutPrefix(word, "0x"); ok {
		digits, base = hex, 16
	} else if len(word) > 1 && word[0] == '0' {
		return 0, false
	}
	for _, c := range []byte(digits) {
		if !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(digits, base, 64)
	if n == 1<<64-1 {
		return n, true
	}
	return n, err == nil
}

func startsWithDigit(word string) bool { return word != "" && '0' <= word[0] && word[0] <= '9' }

var commandNames, commandIDs = func() (names []string, ids map[string]pdu.CommandID) {
	ids = map[string]pdu.CommandID{}
	for _, c := range pdu.Commands {
		names = append(names, c.Name)
		ids[c.Name] = c.ID
	}
	return names, ids
}()

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
