package api

// The answer to /api/v1/command, by which forms know what a body consists of.

// A Command is what is known of one, and of the message in its body.
type Command struct {
	Command string  `json:"command"` // its name; its id if it has none
	ID      uint16  `json:"id"`
	Service string  `json:"service"` // that it belongs to
	Message string  `json:"message"` // in its body; empty if that is not known
	Fields  []Field `json:"fields"`  // of the message, in the order of their numbers
}

// A Field is a field of a message.
type Field struct {
	Name     string         `json:"name"`
	Number   int            `json:"number"`
	Type     string         `json:"type"` // as protobuf calls it: uint32, bytes, enum, message, …
	Repeated bool           `json:"repeated"`
	Required bool           `json:"required"`
	Values   map[string]int `json:"values,omitempty"` // of an enum, by name
}
