package conformance

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// ids are the arguments of classify.
type ids struct {
	service pdu.ServiceID
	command pdu.CommandID
}

// services are those of the protocol, and some that a peer may make up.
var services = []pdu.ServiceID{0, 1, 2, 3, 4, 5, 6, 7, 8, 0xffff}

// classify asks about every command id under each of services.
func (c *checker) classify() (string, error) {
	var all problems
	verdicts := map[policy.Verdict]bool{}
	for _, s := range services {
		for id := range 1 << 16 {
			v, err := c.policy.Classify(s, pdu.CommandID(id))
			if err != nil {
				all.add("classify(%#04x, %#04x): %v", uint16(s), id, err)
			}
			verdicts[v] = true
		}
	}
	for _, command := range pdu.Commands {
		all.addErr(c.ask(ask{ids: ids{command.Service, command.ID}}))
	}
	return fmt.Sprintf("%d pairs of ids, %d different verdicts", len(services)<<16, len(verdicts)), all.err()
}

// headersEach is the number of headers that inspect is asked about for each command.
const headersEach = 200

// inspect asks about random PDUs of the commands that classify leaves to inspect.
func (c *checker) inspect() (string, error) {
	commands, note := c.inspected(abi.Inspect, abi.InspectHeader)
	r := rand.New(rand.NewPCG(1, 1))
	var all problems
	for _, command := range commands {
		for range headersEach {
			all.addErr(c.ask(ask{byIDs: abi.InspectHeader, Question: someQuestion(r, command, nil)}))
		}
	}
	return note, all.err()
}

// inspectBody asks about PDUs with random, damaged and expensive bodies.
func (c *checker) inspectBody() (string, error) {
	commands, note := c.inspected(abi.InspectBody, abi.InspectBodyOf)
	r := rand.New(rand.NewPCG(2, 2))
	bodies := someBodies(r)
	var all problems
	for _, command := range commands {
		for _, body := range bodies {
			all.addErr(c.ask(ask{byIDs: abi.InspectBodyOf, Question: someQuestion(r, command, body)}))
		}
	}
	return note, all.err()
}

// inspected returns the commands that classify leaves to this export. If there is none
// although the guest has the export, it returns all commands.
func (c *checker) inspected(export string, flag policy.Verdict) (commands []pdu.Command, note string) {
	for _, command := range pdu.Commands {
		v, err := c.policy.Classify(command.Service, command.ID)
		asksFor := v & (abi.InspectHeader | abi.InspectBodyOf)
		if asksFor&abi.InspectBodyOf != 0 {
			asksFor = abi.InspectBodyOf // which receives the header too
		}
		if err == nil && asksFor == flag {
			commands = append(commands, command)
		}
	}
	switch {
	case len(commands) > 0:
		return commands, fmt.Sprintf("asked for %d commands", len(commands))
	case c.exports(export):
		return pdu.Commands, "exported, but classify asks for it for no command of the protocol"
	}
	return nil, "not exported, and not asked for"
}

// someQuestion returns a question about a command. All other fields of the header are random, as the
// hub passes them on unchecked; every second header has the right length and service.
func someQuestion(r *rand.Rand, command pdu.Command, body []byte) policy.Question {
	q := policy.Question{
		Header:     make([]byte, pdu.HeaderLen),
		Body:       body,
		Session:    1 + r.Uint64()>>(1+r.UintN(63)),
		Attributes: []uint64{0, abi.AttributeMaster, r.Uint64()}[r.IntN(3)],
	}
	binary.BigEndian.PutUint64(q.Header, r.Uint64())
	binary.BigEndian.PutUint64(q.Header[8:], r.Uint64())
	binary.BigEndian.PutUint16(q.Header[10:], uint16(command.ID))
	if r.IntN(2) == 0 {
		binary.BigEndian.PutUint32(q.Header, uint32(pdu.HeaderLen+len(body)))
		binary.BigEndian.PutUint16(q.Header[8:], uint16(command.Service))
	}
	return q
}

// most is the size of the largest body that the server inspects by default.
const most = 64 << 10

// someBodies returns bodies such as a peer could send: empty, random, well formed, cut
// off, and long ones that cost a reader as much as possible. Each piece is repeated up to 64 KiB:
//
//	2801         a field of a number, as often as fits
//	0a00         empty messages or texts
//	a880…8000    a tag and a number in more bytes than they need
//	0b, 0b0c     groups that are opened, and opened and closed
//	32ffffffff07 a length far beyond the end
func someBodies(r *rand.Rand) [][]byte {
	bodies := [][]byte{{}, {0}, {8}, {0x80}, {0xff}}
	for _, piece := range []string{"00", "01", "ff", "2801", "1001", "0a00", "2a0101", "a880808080808080800081808080808080808000", "0b", "0b0c", "32ffffffff07"} {
		b, err := readBody(piece)
		if err != nil {
			panic(err) // the pieces are constants
		}
		bodies = append(bodies, slices.Repeat(b, most/len(b)), slices.Repeat(b, 10))
	}
	for range 60 {
		b := make([]byte, r.IntN(200))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		message := someMessage(r, 3)
		bodies = append(bodies, b, message, message[:r.IntN(len(message)+1)])
	}
	return bodies
}

// someMessage returns a well-formed protobuf message of few fields, nested up to depth.
func someMessage(r *rand.Rand, depth int) []byte {
	var b []byte
	for range r.IntN(8) {
		number := 1 + r.Uint64N(8)
		if r.IntN(8) == 0 {
			number = 20
		}
		switch kind := r.IntN(7); {
		case kind < 4:
			b = binary.AppendUvarint(b, number<<3)
			b = binary.AppendUvarint(b, r.Uint64()>>r.UintN(64))
		case kind == 4:
			b = append(binary.AppendUvarint(b, number<<3|5), 1, 2, 3, 4)
		case kind == 5 && depth > 0:
			inner := someMessage(r, depth-1)
			b = binary.AppendUvarint(binary.AppendUvarint(b, number<<3|2), uint64(len(inner)))
			b = append(b, inner...)
		default:
			list := make([]byte, 0, 64)
			for range r.IntN(5) {
				list = binary.AppendUvarint(list, uint64(r.Uint32()>>r.UintN(32)))
			}
			b = binary.AppendUvarint(binary.AppendUvarint(b, number<<3|2), uint64(len(list)))
			b = append(b, list...)
		}
	}
	return b
}
