package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/BurntSushi/toml"

	"switchyard/pdu"
	"switchyard/policy/command"
	"switchyard/policy/command/custom"
	"switchyard/policy/suggest"
	"switchyard/policy/tomlpos"
)

// Commands are the operator's custom commands, besides those of the protocol:
//
//	[commands]
//	proto        = "my.proto"
//	CID_MY_ORDER = { id = 0x0901, message = "my.Order" }
//	CID_MY_PING  = 0x0902
type Commands struct {
	Proto  string        // .proto file with the messages, see Config.File; empty for none
	Custom []pdu.Command // sorted by name
	Set    *custom.Set   // Custom with the messages; nil if there are none
	Files  []string      // that were read for it: Proto and what it imports
}

const (
	sectionCommands = "commands"
	keyProto        = sectionCommands + ".proto"
	writeCommand    = "write the id as in %s = 0x0901, or as in %[1]s = { id = 0x0901, message = \"my.Order\" }"
)

// keys returns the key of the file and one for each custom command.
func (c *Commands) keys() []key {
	keys := []key{{name: keyProto, field: &c.Proto, check: checkPath, input: true}}
	for i := range c.Custom {
		name := sectionCommands + "." + c.Custom[i].Name
		keys = append(keys, key{name: name, owner: name, field: &c.Custom[i]}) // like a tenant, it comes and goes
	}
	return keys
}

// commands adds the custom commands that the file names, without their ids. Like tenants and listeners, they
// have to be known before the keys are listed (index), because each is a key; walk then sets their
// values.
func (r *reader) commands(value any) {
	table, ok := value.(map[string]any)
	if !ok {
		return // walk reports it
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		if sectionCommands+"."+name == keyProto {
			continue
		}
		place := r.place(toml.Key{sectionCommands, name}.String(), sectionCommands)
		if problem := custom.CheckName(name); problem != nil {
			if near := suggest.Word(name, []string{"proto"}); near != "" {
				problem.Remedy = "did you mean proto?"
			}
			r.fault(place, "%s: %v", sectionCommands, problem)
			continue
		}
		r.config.Commands.Custom = append(r.config.Commands.Custom, pdu.Command{Name: name})
	}
	if n := len(r.config.Commands.Custom); n > custom.MaxCommands {
		r.fault(r.place(sectionCommands), "%s: %d custom commands, at most %d are possible; remove some", sectionCommands, n, custom.MaxCommands)
		r.config.Commands.Custom = nil
	}
}

// setCommand sets a custom command, whose name is known, to its id, or to a table with id and message.
func setCommand(field *pdu.Command, value any) error {
	write := fmt.Sprintf(writeCommand, field.Name)
	id, isNumber := value.(int64)
	text := ""
	if table, ok := value.(map[string]any); ok {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			if name != "id" && name != "message" {
				return fmt.Errorf("unknown key %q; %s", name, suggest.Hint(name, []string{"id", "message"}, "known here: id, message"))
			}
		}
		if id, isNumber = table["id"].(int64); table["id"] == nil {
			return fmt.Errorf("it has no id; %s", write)
		}
		value = table["id"]
		var isText bool
		if text, isText = table["message"].(string); table["message"] != nil && (!isText || text == "") {
			return fmt.Errorf("its message is not a name; write it in quotes, as in message = \"my.Order\"")
		}
	}
	if !isNumber {
		if word, ok := value.(string); ok {
			return quotedID(word, write)
		}
		return fmt.Errorf("its id is not a number; %s", write)
	}
	if problem := custom.Check(field.Name, id, nil); problem != nil {
		return problem
	}
	field.ID, field.Message = pdu.CommandID(id), text
	field.Service = field.ID.Service()
	return nil
}

// quotedID returns the fault of an id in quotes. Without them it must be an id to be good advice.
func quotedID(word, write string) error {
	if id, remedy := command.ParseID(word); remedy == "" && id > 0 {
		return fmt.Errorf("the id %q is in quotes; write it without them", word)
	}
	return fmt.Errorf("%q is not an id; %s", word, write)
}

// checkCommands refuses two names for one id, and reads the messages. Commands are looked at in the order
// of their lines, so that of two with one id the second is at fault.
func (r *reader) checkCommands() {
	c := &r.config.Commands
	var sound []pdu.Command
	line := func(o pdu.Command) int { return r.config.places[sectionCommands+"."+o.Name].Line }
	for _, o := range slices.SortedStableFunc(slices.Values(c.Custom), func(a, b pdu.Command) int { return cmp.Compare(line(a), line(b)) }) {
		name := sectionCommands + "." + o.Name
		if !r.sound(name) {
			continue
		}
		if problem := custom.Check(o.Name, int64(o.ID), sound); problem != nil {
			r.fault(r.place(name), "%s: %v", name, problem)
			continue
		}
		sound = append(sound, o)
	}
	messages, ok := r.messages()
	for _, o := range sound {
		if o.Message == "" || !ok {
			continue
		}
		name := sectionCommands + "." + o.Name
		if problem := custom.CheckMessage(o.Message, messages); problem != nil {
			r.fault(r.place(name+".message", name), "%s: %v", name, problem)
		}
	}
	if len(sound) > 0 {
		c.Set = custom.NewSet(sound, messages)
	}
}

// messages returns the messages of the file in commands.proto, or nil if there is none. It returns false
// if there are faults.
func (r *reader) messages() (*custom.Messages, bool) {
	c := &r.config.Commands
	if !r.sound(keyProto) {
		return nil, false
	}
	if c.Proto == "" {
		return nil, true
	}
	path := r.config.File(c.Proto)
	c.Files = []string{path} // also if it is not there, so that it is noticed when it is
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		if err == nil {
			err = errors.New("it is a folder")
		}
		r.fault(r.place(keyProto), "%s: %v; name a .proto file, relative to this one", keyProto, err)
		return nil, false
	}
	messages, files, faults := custom.ReadProto(path)
	c.Files = files
	for _, f := range faults {
		r.fault(Place{cmp.Or(f.File, path), f.Line}, "%v", f)
	}
	return messages, len(faults) == 0
}

// CustomCommands reads only the custom commands of the file at path; nil if it has none. It ignores faults
// elsewhere, for commands that need nothing else of a configuration. An error is Faults.
func CustomCommands(path string) (*custom.Set, error) {
	source, err := readSource(path)
	if err != nil {
		return nil, nil
	}
	doc := tomlpos.Scan(source)
	values, err := doc.Decode()
	if err != nil {
		return nil, nil
	}
	if values[sectionCommands] == nil {
		return nil, nil
	}
	r := newReader(path)
	for name, line := range doc.Lines {
		r.config.places[name] = Place{path, line}
	}
	r.commands(values[sectionCommands])
	r.index()
	r.walk(nil, map[string]any{sectionCommands: values[sectionCommands]})
	r.checkCommands()
	if len(r.faults) > 0 {
		r.faults.sort()
		return nil, r.faults
	}
	return r.config.Commands.Set, nil
}

// isCustom reports whether the path is that of a custom command, which commands has looked at.
func isCustom(path toml.Key) bool {
	return len(path) > 1 && path[0] == sectionCommands && path.String() != keyProto
}
