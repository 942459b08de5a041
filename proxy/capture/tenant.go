package capture

import (
	"fmt"
	"slices"
	"strings"

	"switchyard/pdu"
	"switchyard/policy/command"
)

// A Tenant is an interface of a capture: the name of the tenant, and which of its PDUs
// were to be recorded.
type Tenant struct {
	Name     string
	Bodies   bool            // false: only headers
	Commands []pdu.CommandID // nil: all
	Redacted []Field
}

// Keeps reports whether PDUs of the command were to be recorded.
func (t *Tenant) Keeps(c pdu.CommandID) bool {
	return t.Commands == nil || slices.Contains(t.Commands, c)
}

// filter spells that as the filter of the interface:
//
//	bodies; commands CID_MSG_DATA CID_MSG_DATA_ACK; redacted CID_MSG_DATA.msg_data
func (t *Tenant) filter() string {
	text := "headers"
	if t.Bodies {
		text = "bodies"
	}
	if t.Commands != nil {
		text += "; commands"
	}
	for _, c := range t.Commands {
		text += " " + c.String()
	}
	if len(t.Redacted) > 0 {
		text += "; redacted"
	}
	for _, f := range t.Redacted {
		text += " " + f.String()
	}
	return text
}

// parseFilter is the inverse of filter. A part that it does not know is a fault: a reader that ignored it
// could take what was left out for what was not there.
func (t *Tenant) parseFilter(text string) error {
	parts := strings.Split(text, "; ")
	switch parts[0] {
	case "bodies":
		t.Bodies = true
	case "headers":
	default:
		return fmt.Errorf("the filter %.40q of an interface, which is none of Switchyard's", text)
	}
	for _, part := range parts[1:] {
		words := strings.Split(part, " ")
		switch words[0] {
		case "commands":
			t.Commands = []pdu.CommandID{}
			for _, word := range words[1:] {
				c, err := command.ID(word)
				if err != nil {
					return fmt.Errorf("the filter of an interface: %w", err)
				}
				t.Commands = append(t.Commands, c)
			}
		case "redacted":
			for _, word := range words[1:] {
				f, err := ParseField(word)
				if err != nil {
					return fmt.Errorf("the filter of an interface: %w", err)
				}
				t.Redacted = append(t.Redacted, f)
			}
		default:
			return fmt.Errorf("the filter of an interface, which has the unknown part %.40q", part)
		}
	}
	return nil
}
