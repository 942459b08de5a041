// Package custom is the operator's custom commands: what their names and ids may be, and the messages of
// their bodies, which it reads from a .proto file. It reads no configuration.
package custom

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"switchyard/pdu"
	"switchyard/pdu/message"
	"switchyard/policy/command"
	"switchyard/policy/sanitize"
	"switchyard/policy/suggest"
)

// MaxCommands is how many custom commands there may be. Each is a label of the metrics.
const MaxCommands = 256

// A Set is custom commands with the messages of their bodies. It is immutable; nil is a set without
// commands.
type Set struct {
	commands []pdu.Command
	types    map[string]protoreflect.MessageType // by full name
	text     string
}

// NewSet returns a set of commands that Check and the Messages accept. messages may be nil.
func NewSet(commands []pdu.Command, messages *Messages) *Set {
	commands = slices.SortedFunc(slices.Values(commands), func(a, b pdu.Command) int { return cmp.Compare(a.ID, b.ID) })
	s := &Set{commands: commands, types: make(map[string]protoreflect.MessageType)}
	var text strings.Builder
	for _, c := range commands {
		if d := messages.byName(c.Message); d != nil {
			s.types[c.Message] = dynamicpb.NewMessageType(d)
		}
		fmt.Fprintf(&text, "%v %#04x %s\n", c.Name, uint16(c.ID), c.Message)
	}
	if messages != nil {
		for _, name := range slices.Sorted(maps.Keys(messages.content)) {
			fmt.Fprintf(&text, "%s %x\n", name, sha256.Sum256(messages.content[name]))
		}
	}
	s.text = text.String()
	return s
}

// Use makes these the custom commands of this process.
func (s *Set) Use() {
	if s == nil {
		s = NewSet(nil, nil)
	}
	message.SetCustom(s.commands, s.types)
}

// Commands returns the commands in the order of their ids. The caller must not change them.
func (s *Set) Commands() []pdu.Command {
	if s == nil {
		return nil
	}
	return s.commands
}

// Text returns a text that is equal for equal sets: names, ids, messages, and what the messages are.
func (s *Set) Text() string {
	if s == nil {
		return ""
	}
	return s.text
}

// NamePattern is what a name is, as a regular expression, but for its length.
const NamePattern = `^CID_[A-Z0-9]+(_[A-Z0-9]+)*$`

var nameForm = regexp.MustCompile(NamePattern)

// maxName is the length in bytes of the longest name of a command.
const maxName = 64

// Check returns what is wrong with the name and the id of a command, or nil. before are custom commands
// that were accepted. Each name and id must be new, as it names the command in every log line and
// metric; a command of the protocol cannot be given another name, because peers know it by its id:
//
//	CID_MY_ORDER = 0x0901   accepted
//	CID_MSG_DATA = 0x0902   refused: a name of the protocol
//	CID_CHAT     = 0x0301   refused: the id of CID_MSG_DATA
func Check(name string, id int64, before []pdu.Command) *command.Problem {
	problem := func(remedy, format string, args ...any) *command.Problem {
		return &command.Problem{What: fmt.Sprintf(format, args...), Remedy: remedy}
	}
	number := fmt.Sprintf("0x%04x", id)
	if p := CheckName(name); p != nil {
		return p
	}
	if id < 1 || id > 0xffff {
		return problem("ids go from 0x0001 to 0xffff; the high byte is the service", "the id %d is out of range", id)
	}
	for _, c := range pdu.Commands {
		switch {
		case c.Name == name:
			return problem("choose another name", "%s is a command of the protocol, 0x%04x", name, uint16(c.ID))
		case int64(c.ID) == id:
			return problem("choose an id that docs/protocol.md does not list, such as 0x0901", "the id %s is that of %s in the protocol", number, c.Name)
		}
	}
	for _, c := range before {
		if int64(c.ID) == id {
			return problem("keep one", "the id %s is that of %s as well", number, c.Name)
		}
	}
	return nil
}

// CheckName returns what is wrong with the form of a command's name, or nil.
func CheckName(name string) *command.Problem {
	switch {
	case len(name) > maxName:
		return &command.Problem{What: fmt.Sprintf("the name has %d characters, at most %d are possible", len(name), maxName), Remedy: "shorten it"}
	case !nameForm.MatchString(name):
		return &command.Problem{What: fmt.Sprintf("%q cannot be the name of a command", name), Remedy: "write CID_ and then A-Z, 0-9 and single _, such as CID_MY_ORDER"}
	}
	return nil
}

// CheckMessage returns what is wrong with the name of a command's message, or nil. messages is nil if
// there is no .proto file. A message of the protocol needs none, and is used even if the file has one
// of that name, so that one must be the same.
func CheckMessage(name string, messages *Messages) *command.Problem {
	if t := message.OfProtocol(name); t != nil {
		if d := messages.byName(name); d != nil && !proto.Equal(protodesc.ToDescriptorProto(d), protodesc.ToDescriptorProto(t.Descriptor())) {
			return &command.Problem{What: fmt.Sprintf("%s in %s is another message than that of the protocol, which has the same name", name, messages.file), Remedy: "give it another name, or another package"}
		}
		return nil
	}
	what := fmt.Sprintf("there is no message %q", name)
	if messages == nil {
		return &command.Problem{What: what + " in the protocol", Remedy: `name the file that has it, as in proto = "my.proto" above the commands`}
	}
	if messages.byName(name) != nil {
		return nil
	}
	names := messages.Names()
	for _, known := range names { // Order for my.Order
		if strings.HasSuffix(known, "."+name) {
			return &command.Problem{What: what + " in " + messages.file, Remedy: fmt.Sprintf("did you mean %s?", known)}
		}
	}
	return &command.Problem{What: what + " in " + messages.file, Remedy: suggest.Hint(name, names, "it has "+list(names))}
}

// list returns some of the names.
func list(names []string) string {
	const most = 8
	all := strings.Join(names[:min(len(names), most)], ", ")
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > most || len(all) > maxWhat:
		return sanitize.Cut(all, maxWhat) + ", …"
	}
	return all
}
