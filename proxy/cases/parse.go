package cases

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"switchyard/pdu"
	"switchyard/policy/suggest"
	"switchyard/policy/tomlpos"
)

const (
	// MaxSize is the largest file of cases that is read, in bytes.
	MaxSize = 4 << 20
	// MaxCases is the largest number of cases in one file.
	MaxCases = 10_000
	// MaxBefore is the largest number of PDUs that a case sends before its own, as each takes time.
	MaxBefore = 100_000
)

// maxFaults is how many faults are reported at once. A file with more is not meant for a
// file of cases.
const maxFaults = 100

// A parser turns blocks into cases. It reads on after a fault, with zeros in place of what was
// wrong, so that all faults of a file are reported at once; a case with a fault is left out.
type parser struct {
	name   string
	faults tomlpos.Errors
	peers  []Peer         // of the whole file
	names  map[string]int // the lines of cases by name
	*block                // the one being read
}

// Parse reads a file of cases. name is the file's name in errors. An error is of type
// tomlpos.Errors and has every fault.
func Parse(name string, src []byte) ([]Case, error) {
	p := &parser{name: name, names: make(map[string]int)}
	cases := p.file(bytes.TrimPrefix(src, []byte("\ufeff")))
	if len(p.faults) > 0 {
		p.faults.Sort()
		return nil, p.faults
	}
	return cases, nil
}

// file reads all blocks: the head, and then one case from each.
func (p *parser) file(src []byte) (cases []Case) {
	if len(src) > MaxSize {
		p.fault(1, fmt.Sprintf("the file has %d bytes, at most %d are read", len(src), MaxSize), "split it")
		return nil
	}
	blocks := split(src)
	if len(blocks) > 1+MaxCases {
		p.fault(blocks[1+MaxCases].first, fmt.Sprintf("more than %d cases", MaxCases), "split the file")
		return nil
	}
	for i, b := range blocks {
		p.block = b
		if wrong := b.decode(); wrong != nil {
			p.fault(wrong.line, wrong.what, wrong.remedy)
		} else if i == 0 {
			p.head()
		} else if c, ok := p.caseOf(); ok {
			cases = append(cases, c)
		}
	}
	if len(blocks) == 1 && len(p.faults) == 0 {
		p.fault(1, "there is no case", `write [[case]] and below it from, command and expect`)
	}
	return cases
}

// head reads what is above the first case.
func (p *parser) head() {
	for _, name := range p.order() {
		switch name {
		case "peers":
			p.peers = p.peersAt("peers")
		case "case":
			p.faultAt("a case is one of many", "write [[case]], with two brackets each", name)
		default:
			p.faultAt(fmt.Sprintf("unknown table %q", name), suggest.Hint(name, []string{"peers", "[[case]]"}, "write [peers] and [[case]]"), name)
		}
	}
}

// CaseKeys and PeerKeys are the keys of a case and of a peer.
var (
	PeerKeys = []string{"users", "master", "groups"}
	CaseKeys = []string{"name", "from", "command", "service", "seq", "before", "wait", "master", "body", "hex", "peers", "expect"}
)

// caseOf reads a case, and reports whether it has no faults. Peers come before the sender, who has to be
// one of them, and the command before the body and the verdict, which are read by its message.
func (p *parser) caseOf() (Case, bool) {
	faults := len(p.faults)
	for _, name := range p.order() {
		if name != "case" {
			p.faultAt(fmt.Sprintf("[%s] is below a case", name), "write it above the first [[case]], or as [case."+name+"]", name)
		}
	}
	table, ok := p.table("case")
	if !ok {
		return Case{}, false
	}
	p.unknown(table, CaseKeys, "case")
	c := Case{Line: p.first, Peers: p.peers}
	if _, ok := table["peers"]; ok {
		c.Peers = p.peersAt("case", "peers")
	}
	c.From = p.sender(table, c.Peers)
	if master, ok := table["master"]; ok {
		c.Peers = p.promote(c.Peers, c.From, master)
	}
	command := p.pdu(table, &c)
	c.Before, c.Wait = p.number(table, "before", MaxBefore, 50), p.wait(table)
	c.Name = p.caseName(table, command)
	c.Want = p.expectation(table, command, c.Peers)
	return c, len(p.faults) == faults
}

// caseName reads the name of a case. One without a name is called by its command and line, such as
// "CID_MSG_DATA on line 12".
func (p *parser) caseName(table map[string]any, command pdu.CommandID) string {
	name, written := p.text(table, "case", "name")
	if !written {
		return fmt.Sprintf("%v on line %d", command, p.first)
	}
	if first, twice := p.names[name]; twice {
		p.faultAt(fmt.Sprintf("the case on line %d is called %q too", first, name), "give each a name of its own", "case", "name")
	}
	p.names[name] = p.first
	return name
}

// sender reads the name of the sender.
func (p *parser) sender(table map[string]any, peers []Peer) string {
	from, ok := p.text(table, "case", "from")
	switch {
	case len(peers) == 0:
		p.faultAt("there are no peers", "write [peers] above the first [[case]], and below it A = {}", "case", "from")
	case !ok:
		p.faultAt("the case has no sender", fmt.Sprintf("write from = %q", peers[0].Name), "case")
	default:
		p.peer(from, peers, "case", "from")
	}
	return from
}

// peer requires a name to be that of a peer.
func (p *parser) peer(name string, peers []Peer, path ...string) {
	names := namesOf(peers)
	if len(names) > 0 && !slices.Contains(names, name) { // without peers there is another fault
		p.faultAt(fmt.Sprintf("unknown peer %q", name), suggest.Hint(name, names, "peers are "+strings.Join(names, ", ")), path...)
	}
}

// namesOf returns the names of peers, for suggestions.
func namesOf(peers []Peer) []string {
	names := make([]string, len(peers))
	for i, peer := range peers {
		names[i] = peer.Name
	}
	return names
}

// promote returns the peers with the sender as master, or not. It copies them: all cases without peers of
// their own share those of the file.
func (p *parser) promote(peers []Peer, from string, value any) []Peer {
	master, ok := value.(bool)
	if !ok {
		p.faultAt("master is neither true nor false", "write master = true", "case", "master")
	}
	peers = slices.Clone(peers)
	for i := range peers {
		if peers[i].Name == from {
			peers[i].Master = master
		}
	}
	return peers
}

// peersAt reads a table of peers, in the order in which they are written: it decides about the numbers of
// their sessions.
func (p *parser) peersAt(path ...string) (peers []Peer) {
	table, ok := p.table(path...)
	if !ok {
		return nil
	}
	for _, name := range p.order(path...) {
		at := append(slices.Clone(path), name)
		one, ok := table[name].(map[string]any)
		if !ok {
			p.faultAt(fmt.Sprintf("peer %s is not a table", name), fmt.Sprintf("write %s = { users = [1, 2] }", name), at...)
			continue
		}
		p.unknown(one, PeerKeys, at...)
		peer := Peer{Name: name}
		if users, ok := one["users"]; ok {
			peer.Users = p.users(users, append(at, "users")...)
		}
		if master, ok := one["master"]; ok {
			if peer.Master, ok = master.(bool); !ok {
				p.faultAt("master is neither true nor false", "write master = true", append(at, "master")...)
			}
		}
		if groups, ok := one["groups"]; ok {
			at = append(at, "groups")
			peer.Groups, peer.groupsLine = p.groups(groups, at...), p.line(at...)
		}
		peers = append(peers, peer)
	}
	return peers
}

// users reads a list of users' numbers.
func (p *parser) users(value any, path ...string) (users []uint32) {
	list, ok := value.([]any)
	for _, v := range list {
		n, isNumber := v.(int64)
		if ok = isNumber && 0 <= n && n <= math.MaxUint32; !ok {
			break
		}
		users = append(users, uint32(n))
	}
	if !ok {
		p.faultAt("users are a list of numbers from 0 to 4294967295", "write users = [1, 2]", path...)
	}
	return users
}

// pdu builds the PDU of a case, and returns its command. A service that is not written is the high byte
// of the command: 0x0720 belongs to service 7.
func (p *parser) pdu(table map[string]any, c *Case) pdu.CommandID {
	command, ok := p.command(table)
	service, seq := command.Service(), uint16(p.number(table, "seq", math.MaxUint16, 1))
	if value, written := table["service"]; written {
		id, wrong := serviceID(value)
		p.wrong(wrong, "case", "service")
		service = id
	}
	var body []byte
	if ok {
		body = p.body(table, command, c)
	}
	c.PDU = pdu.Append(nil, service, command, seq, body)
	return command
}

// command reads the command of a case; false if there is none, or none that can be read.
func (p *parser) command(table map[string]any) (pdu.CommandID, bool) {
	value, ok := table["command"]
	if !ok {
		p.faultAt("the case has no command", `write command = "CID_MSG_DATA"`, "case")
		return 0, false
	}
	id, wrong := commandID(value)
	p.wrong(wrong, "case", "command")
	return id, wrong == nil
}

// body reads the body of a case: hex digits, or fields of the command's message by name.
func (p *parser) body(table map[string]any, command pdu.CommandID, c *Case) (body []byte) {
	_, written := table["body"]
	if text, ok := p.text(table, "case", "hex"); ok {
		b, err := Hex(text)
		if err != nil {
			p.faultAt("hex is not a list of bytes: "+err.Error(), "write two hex digits for each byte", "case", "hex")
		}
		if written {
			p.faultAt("the body is written twice, as fields and as hex", "keep one", "case", "hex")
		}
		return b
	}
	if !written {
		return nil
	}
	fields, ok := p.table("case", "body")
	if !ok {
		return nil
	}
	body, lacks, err := Body(command, fields)
	if wrong, ok := errors.AsType[*FieldError](err); ok {
		p.faultAt(wrong.What, wrong.Remedy, append([]string{"case", "body"}, wrong.Path...)...)
	}
	c.Lacks = lacks
	return body
}

// number reads a number from 0 to most, or 0 if there is none. The fault shows the example.
func (p *parser) number(table map[string]any, name string, most, example int) int {
	value, ok := table[name]
	if !ok {
		return 0
	}
	n, ok := value.(int64)
	if !ok || n < 0 || n > int64(most) {
		p.faultAt(fmt.Sprintf("%s is not a number from 0 to %d", name, most), fmt.Sprintf("write %s = %d", name, example), "case", name)
		return 0
	}
	return int(n)
}

// wait reads the time between the PDUs before and the one of the case.
func (p *parser) wait(table map[string]any) time.Duration {
	text, ok := p.text(table, "case", "wait")
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		p.faultAt(fmt.Sprintf("wait is not a time: %q", text), `write wait = "20ms"`, "case", "wait")
		return 0
	}
	return d
}

// text reads a string, and reports whether the key exists.
func (p *parser) text(table map[string]any, path ...string) (string, bool) {
	name := path[len(path)-1]
	value, ok := table[name]
	text, isText := value.(string)
	if ok && !isText {
		p.faultAt(fmt.Sprintf("%s is not a string", name), fmt.Sprintf(`write %s = "…"`, name), path...)
	}
	return text, ok
}

// table returns the table at the path, which must exist.
func (p *parser) table(path ...string) (map[string]any, bool) {
	var v any = p.values
	for _, name := range path {
		above, _ := v.(map[string]any)
		v = above[name]
	}
	table, ok := v.(map[string]any)
	if !ok {
		name := path[len(path)-1]
		p.faultAt(fmt.Sprintf("%s is not a table", name), fmt.Sprintf("write %s = { … }", name), path...)
	}
	return table, ok
}

// unknown notes the keys of a table that are not known.
func (p *parser) unknown(table map[string]any, known []string, path ...string) {
	for _, name := range slices.Sorted(maps.Keys(table)) {
		if !slices.Contains(known, name) {
			p.faultAt(fmt.Sprintf("unknown key %q", name), suggest.Hint(name, known, "known here are "+strings.Join(known, ", ")),
				append(slices.Clone(path), name)...)
		}
	}
}

// wrong notes a fault at the path, unless it is nil.
func (p *parser) wrong(err *FieldError, path ...string) {
	if err != nil {
		p.faultAt(err.What, err.Remedy, path...)
	}
}

// faultAt notes a fault of what is at the path, on its line or on that of the nearest above it.
func (p *parser) faultAt(what, remedy string, path ...string) {
	if len(p.faults) < maxFaults {
		p.fault(p.line(path...), what, remedy)
	}
}

func (p *parser) fault(line int, what, remedy string) {
	if len(p.faults) < maxFaults {
		p.faults = append(p.faults, &tomlpos.Error{Name: p.name, Line: line, What: what, Remedy: remedy})
	}
}
