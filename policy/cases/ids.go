package cases

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"switchyard/pdu"
	"switchyard/policy/nearest"
)

// Command reads a command as a command line has it, by name or id. The error is a
// *FieldError.
func Command(word string) (pdu.CommandID, error) {
	id, wrong := commandID(word)
	if wrong != nil {
		return 0, wrong
	}
	return id, nil
}

// Service reads a service like Command.
func Service(word string) (pdu.ServiceID, error) {
	id, wrong := serviceID(word)
	if wrong != nil {
		return 0, wrong
	}
	return id, nil
}

// commandID reads a name or a number.
func commandID(value any) (pdu.CommandID, *FieldError) {
	id, wrong := idOf(value, "command", commandNames)
	return pdu.CommandID(id), wrong
}

func serviceID(value any) (pdu.ServiceID, *FieldError) {
	id, wrong := idOf(value, "service", serviceNames)
	return pdu.ServiceID(id), wrong
}

func idOf(value any, what string, names []named) (uint16, *FieldError) {
	if n, ok := value.(int64); ok {
		if 0 <= n && n <= math.MaxUint16 {
			return uint16(n), nil
		}
		return 0, &FieldError{What: fmt.Sprintf("%d is no %s's id", n, what), Remedy: "ids go from 0x0000 to 0xffff"}
	}
	text, _ := value.(string)
	known := make([]string, len(names))
	for i, n := range names {
		if known[i] = n.name; n.name == text {
			return n.id, nil
		}
	}
	if text != "" && '0' <= text[0] && text[0] <= '9' {
		if n, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), base(text), 16); err == nil {
			return uint16(n), nil
		}
		return 0, &FieldError{What: fmt.Sprintf("%q is no %s's id", text, what), Remedy: "ids are written 0x0301 or 769, and go from 0x0000 to 0xffff"}
	}
	return 0, &FieldError{What: fmt.Sprintf("unknown %s %q", what, text), Remedy: nearest.Hint(text, known, "write its name as in docs/protocol.md, or its id, such as 0x0301")}
}

func base(text string) int {
	if strings.HasPrefix(text, "0x") {
		return 16
	}
	return 10
}

type named struct {
	name string
	id   uint16
}

var commandNames = func() (names []named) {
	for _, c := range pdu.Commands {
		names = append(names, named{c.Name, uint16(c.ID)})
	}
	return names
}()

var serviceNames = func() (names []named) {
	for id := pdu.SID_LOGIN; id <= pdu.SID_INTERNAL; id++ {
		names = append(names, named{id.String(), uint16(id)})
	}
	return names
}()
