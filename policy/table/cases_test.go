package table

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"google.golang.org/protobuf/encoding/protowire"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// A guest is a module with all its exports.
type guest struct {
	api.Module
	t testing.TB
}

func loadGuest(t testing.TB, module []byte) guest {
	t.Helper()
	ctx := context.Background()
	runtime := wazero.NewRuntime(ctx)
	t.Cleanup(func() { runtime.Close(ctx) })
	m, err := runtime.Instantiate(ctx, module)
	if err != nil {
		t.Fatalf("instantiate: %v", err)
	}
	return guest{m, t}
}

func (g guest) call(name string, params ...uint64) uint64 {
	g.t.Helper()
	results, err := g.ExportedFunction(name).Call(context.Background(), params...)
	if err != nil {
		g.t.Fatalf("%s: %v", name, err)
	}
	return results[0]
}

// bodyLimit is the largest body that is inspected.
const bodyLimit = 64 << 10

// judge returns the verdict about a PDU, by the inspection that the verdict by ids asks for.
func (g guest) judge(service pdu.ServiceID, command pdu.CommandID, body []byte) policy.Verdict {
	g.t.Helper()
	return g.judgeFrom(service, command, 0, body)
}

// judgeFrom is judge for a sender with those attributes.
func (g guest) judgeFrom(service pdu.ServiceID, command pdu.CommandID, attributes uint64, body []byte) policy.Verdict {
	g.t.Helper()
	header := pdu.Append(nil, service, command, 7, body)[:pdu.HeaderLen]
	hi, lo := binary.BigEndian.Uint64(header), binary.BigEndian.Uint64(header[8:])
	v := policy.VerdictOf(g.call(abi.Classify, uint64(service), uint64(command)))
	switch {
	case v.Has(abi.InspectHeader) && (len(body) > bodyLimit || !v.Has(abi.InspectBodyOf)):
		return policy.VerdictOf(g.call(abi.Inspect, hi, lo, 1, attributes))
	case v.Has(abi.InspectBodyOf):
		at := g.call(abi.Buffer, uint64(len(body)))
		if !g.Memory().Write(uint32(at), body) {
			g.t.Fatal("the buffer is too small")
		}
		return policy.VerdictOf(g.call(abi.InspectBody, at, uint64(len(body)), hi, lo, 1, attributes))
	}
	return v
}

const chats = `
[route]
CID_MSG_READ_NOTIFY = "close"
[route.CID_MSG_DATA]
"msg_type = MSG_TYPE_SINGLE_TEXT" = "unicast fields from_user_id to_session_id, not-sender, else-broadcast"
"msg_type = 17-18 and body-length > 20" = "drop, log"
"field 2 != 7 and from_user_id >= 0x10" = "broadcast-all"
else = "broadcast-except-sender"
[route.CID_OTHER_SERVER_KICK_USER]
"body-length <= 4" = "drop"
"body-length < 8"  = "consume"
else = "close"
[service.SID_FILE.CID_MSG_DATA]
"body-length != 3" = "unicast sender"
else = "unicast master"
[service.0xffff.0x8000]
"field 31 = 4294967295" = "consume"
else = "drop"
`

// varints returns a body with the fields, each a number and a value.
func varints(fields ...uint64) (b []byte) {
	for i := 0; i < len(fields); i += 2 {
		b = protowire.AppendTag(b, protowire.Number(fields[i]), protowire.VarintType)
		b = protowire.AppendVarint(b, fields[i+1])
	}
	return b
}

func TestCases(t *testing.T) {
	table := parse(t, chats)
	g := loadGuest(t, table.Module())
	long := strings.Repeat("x", 30)
	text := protowire.AppendString(protowire.AppendTag(nil, 6, protowire.BytesType), long)
	for _, test := range []struct {
		service pdu.ServiceID
		command pdu.CommandID
		body    []byte
		want    string
	}{
		{pdu.SID_MSG, pdu.CID_MSG_DATA, varints(1, 1, 2, 2, 5, 1), "unicast fields 1 2, not-sender, else-broadcast"},
		{pdu.SID_MSG, pdu.CID_MSG_DATA, append(varints(5, 17), text...), "drop, log"},
		{pdu.SID_MSG, pdu.CID_MSG_DATA, varints(5, 18), "broadcast-except-sender"}, // too short
		{pdu.SID_MSG, pdu.CID_MSG_DATA, varints(1, 16, 2, 8), "broadcast-all"},
		{pdu.SID_MSG, pdu.CID_MSG_DATA, varints(1, 16, 2, 7), "broadcast-except-sender"},
		{pdu.SID_MSG, pdu.CID_MSG_DATA, varints(1, 16), "broadcast-except-sender"}, // what is not there is not unequal
		{pdu.SID_MSG, pdu.CID_MSG_DATA, varints(1, 15, 2, 8), "broadcast-except-sender"},
		{pdu.SID_MSG, pdu.CID_MSG_DATA, nil, "broadcast-except-sender"},
		{pdu.SID_MSG, pdu.CID_MSG_DATA, varints(5, 2, 5, 1), "unicast fields 1 2, not-sender, else-broadcast"}, // the last one counts
		{pdu.SID_MSG, pdu.CID_MSG_DATA, varints(5, 1, 5, 2), "broadcast-except-sender"},
		{pdu.SID_MSG, pdu.CID_MSG_DATA, varints(5, 1<<32|1), "unicast fields 1 2, not-sender, else-broadcast"}, // 32 bits
		{pdu.SID_MSG, pdu.CID_MSG_DATA, append(varints(5, 1), 0x28), "broadcast-except-sender"},                // cut off
		{pdu.SID_MSG, pdu.CID_MSG_DATA, append(varints(5, 1), 0), "broadcast-except-sender"},
		{pdu.SID_OTHER, pdu.CID_OTHER_SERVER_KICK_USER, make([]byte, 4), "drop"},
		{pdu.SID_OTHER, pdu.CID_OTHER_SERVER_KICK_USER, make([]byte, 7), "consume"},
		{pdu.SID_OTHER, pdu.CID_OTHER_SERVER_KICK_USER, make([]byte, 8), "close"},
		{pdu.SID_FILE, pdu.CID_MSG_DATA, make([]byte, 3), "unicast master"},
		{pdu.SID_FILE, pdu.CID_MSG_DATA, varints(5, 1), "unicast sender"},
		{pdu.SID_MSG, pdu.CID_MSG_READ_NOTIFY, varints(5, 1), "close"},
		{0xffff, 0x8000, varints(31, 1<<32-1), "consume"},
		{0xffff, 0x8000, varints(31, 1<<32-2), "drop"},
		{0xfffe, 0x8000, varints(31, 1<<32-1), "drop, log"},
	} {
		got, explained := g.judge(test.service, test.command, test.body), table.Decide(test.service, test.command, Sender{}, test.body).Verdict
		if got.String() != test.want || explained != got {
			t.Errorf("%v %v % x: %v, explained as %v, want %s", test.service, test.command, test.body, got, explained, test.want)
		}
	}
}

// The module decides as Decide says, about whatever a body is made of.
func TestCasesOfRandomBodies(t *testing.T) {
	table := parse(t, chats)
	g := loadGuest(t, table.Module())
	random := rand.New(rand.NewPCG(1, 2))
	decided := map[string]int{}
	for range 3000 {
		var body []byte
		for range random.IntN(6) {
			switch random.IntN(8) {
			case 0:
				body = append(body, byte(random.Uint32()))
			case 1:
				body = protowire.AppendBytes(protowire.AppendTag(body, protowire.Number(1+random.IntN(40)), protowire.BytesType), make([]byte, random.IntN(20)))
			case 2:
				body = protowire.AppendFixed64(protowire.AppendTag(body, 5, protowire.Fixed64Type), 1)
			case 3:
				body = protowire.AppendFixed32(protowire.AppendTag(body, 2, protowire.Fixed32Type), 1)
			default:
				value := []uint64{0, 1, 2, 7, 8, 16, 17, 18, 1 << 32, 1<<64 - 1}[random.IntN(10)]
				body = append(body, varints(uint64([]int{1, 2, 5, 31}[random.IntN(4)]), value)...)
			}
		}
		if random.IntN(4) == 0 && len(body) > 0 {
			body = body[:random.IntN(len(body))]
		}
		got, want := g.judge(pdu.SID_MSG, pdu.CID_MSG_DATA, body), table.Decide(pdu.SID_MSG, pdu.CID_MSG_DATA, Sender{}, body)
		if got != want.Verdict {
			t.Fatalf("% x: %v, want %+v", body, got, want)
		}
		decided[want.If]++
	}
	if len(decided) != 4 {
		t.Errorf("not all cases were tried: %v", decided)
	}
}

// A body of more fields than are read has none.
func TestCasesOfLongBodies(t *testing.T) {
	table := parse(t, chats)
	g := loadGuest(t, table.Module())
	for n, want := range map[int]string{255: "unicast fields 1 2, not-sender, else-broadcast", 256: "broadcast-except-sender"} {
		body := append([]byte(strings.Repeat("\x30\x01", n)), varints(5, 1)...)
		if got := g.judge(pdu.SID_MSG, pdu.CID_MSG_DATA, body); got.String() != want || table.Decide(pdu.SID_MSG, pdu.CID_MSG_DATA, Sender{}, body).Verdict != got {
			t.Errorf("%d fields: %v, want %s", n+1, got, want)
		}
	}
	if at := g.call(abi.Buffer, 300<<10); at == 0 || !g.Memory().Write(uint32(at), make([]byte, 300<<10)) {
		t.Error("there is no room for a large body")
	}
}

// Cases by length alone need no body, and so no memory.
func TestCasesByLengthNeedNoBody(t *testing.T) {
	g := loadGuest(t, parse(t, "[route.CID_MSG_DATA]\n\"body-length > 4096\" = 'drop'\nelse = 'broadcast-all'\n").Module())
	if v := policy.VerdictOf(g.call(abi.Classify, 3, 0x0301)); v != abi.BroadcastAll|abi.InspectHeader || len(g.ExportedMemoryDefinitions()) > 0 || g.ExportedFunction(abi.InspectBody) != nil {
		t.Errorf("by ids %v, memories %v", v, g.ExportedMemoryDefinitions())
	}
	for size, want := range map[int]string{4096: "broadcast-all", 4097: "drop"} {
		if got := g.judge(pdu.SID_MSG, pdu.CID_MSG_DATA, make([]byte, size)); got.String() != want {
			t.Errorf("%d bytes: %v, want %s", size, got, want)
		}
	}
}

func TestTextOfCases(t *testing.T) {
	table := parse(t, chats)
	text := string(table.Text())
	const want = `
[route.CID_MSG_DATA]
"msg_type = MSG_TYPE_SINGLE_TEXT" = "unicast fields 1 2, not-sender, else-broadcast"  # line 5
"msg_type = 17-18 and body-length > 20" = "drop, log"  # line 6
"field 2 != 7 and from_user_id >= 0x10" = "broadcast-all"  # line 7
else = "broadcast-except-sender"  # line 8
`
	if !strings.Contains(text, want) {
		t.Errorf("got\n%s\nwant in it\n%s", text, want)
	}
	if again := parse(t, text); string(again.Module()) != string(table.Module()) {
		t.Errorf("another module than that of\n%s", text)
	}
	p := newParser("x", "", new(numbering))
	if p.read([]byte(text)); p.rules != table.rules() {
		t.Errorf("the text has %d rules, the table counts %d", p.rules, table.rules())
	}
}

// A rule of the extending table replaces all cases of a command.
func TestExtendCases(t *testing.T) {
	base := from(map[string]string{"base.toml": chats})
	for rows, want := range map[string]string{
		"": "base.toml:8 3", "[route]\nCID_MSG_DATA = 'drop'": "line 3 0", "[route.CID_MSG_DATA]\n\"msg_type = 1\" = 'drop'\nelse = 'close'": "line 4 1",
	} {
		table, err := Extend("x", []byte("extends = 'base.toml'\n"+rows), base)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%v %d", table.Place(pdu.SID_MSG, pdu.CID_MSG_DATA), len(table.Cases(pdu.SID_MSG, pdu.CID_MSG_DATA)))
		if got != want {
			t.Errorf("%q: %s, want %s", rows, got, want)
		}
	}
}

func TestFaultsOfCases(t *testing.T) {
	const write = `write FIELD = NUMBER, as in "msg_type = 1-2" or "body-length > 4096"; comparisons are =, !=, <, <=, > and >=, and several are joined by and`
	for line, want := range map[string]string{
		`"msg_type" = "drop"`:                             `x:2: "msg_type" is not a comparison; ` + write,
		`"msg_type = 1 and" = "drop"`:                     `x:2: "msg_type = 1 and" is not a comparison; ` + write,
		`"msg_type ~ 1" = "drop"`:                         `x:2: "msg_type ~ 1" is not a comparison; ` + write,
		`"msg_typ = 1" = "drop"`:                          `x:2: IM.Message.IMMsgData has no numeric field "msg_typ"; did you mean msg_type?`,
		`"msg_data = 1" = "drop"`:                         `x:2: IM.Message.IMMsgData has no numeric field "msg_data"; compare from_user_id, to_session_id, msg_id, create_time, msg_type, body-length, or a field by its number, as in field 5`,
		`"msg_type = MSG_TYPE_SINGLE_TXT" = "drop"`:       `x:2: "MSG_TYPE_SINGLE_TXT" is not a number; did you mean MSG_TYPE_SINGLE_TEXT?`,
		`"body-length > -1" = "drop"`:                     `x:2: "-1" is not a number; write a number such as 17 or 0x11, or a range such as 1-2`,
		`"msg_type = 1-2-3" = "drop"`:                     `x:2: "1-2-3" is not a number; write a number such as 17 or 0x11, or a range such as 1-2`,
		`"msg_type = 010" = "drop"`:                       `x:2: "010" is not a number; write a number such as 17 or 0x11, or a range such as 1-2`,
		`"msg_type = 4294967296" = "drop"`:                `x:2: the number 4294967296 is too large; numbers go from 0 to 4294967295`,
		`"body-length > 0x1ffffffffffffffff" = "drop"`:    `x:2: the number 0x1ffffffffffffffff is too large; numbers go from 0 to 4294967295`,
		`"msg_type = 2-1" = "drop"`:                       `x:2: the range 2-1 is empty or one number; write the lower number first`,
		`"msg_type > 1-2" = "drop"`:                       `x:2: msg_type > 1-2 compares with a range; a range goes with = and !=`,
		`"body-length < 0" = "drop"`:                      `x:2: body-length < 0 never holds; numbers go from 0 to 4294967295`,
		`"field 32 = 0" = "drop"`:                         `x:2: "32" is not a field number; fields have the numbers 1 to 31`,
		`"msg_type = 1" = "drp"`:                          `x:2: unknown action "drp"; did you mean drop?`,
		`"msg_type = 1" = 7`:                              `x:2: the rule "msg_type = 1" is not a string; write "msg_type = 1" = "ACTION"; actions are drop, consume, handle, unicast, broadcast-except-sender, broadcast-all, close`,
		"else = \"drop\"\n\"msg_type = 1\" = 'drop'":      `x:3: the case "msg_type = 1" follows else; write else last`,
		"'msg_type = 1' = 'drop'\n'msg_type=1' = 'close'": `x:3: the case "msg_type = 1" is on line 2 already; keep one`,
		"\"field 1 = 1\" = \"drop\"\n\"field 2 = 1 and field 3 = 1 and field 4 = 1 and field 5 = 1\" = 'drop'": `x:1: the cases of CID_MSG_DATA compare 5 fields, at most 4 are possible; compare fewer fields`,
	} {
		end := "\nelse = 'drop'\n"
		if strings.HasPrefix(line, "else") {
			end = ""
		}
		if _, err := Parse("x", []byte("[route.CID_MSG_DATA]\n"+line+end)); err == nil || err.Error() != want {
			t.Errorf("%s:\ngot  %v\nwant %s", line, err, want)
		}
	}
	var many strings.Builder
	for n := range MaxCases + 1 {
		fmt.Fprintf(&many, "\"msg_type = %d\" = 'drop'\n", n)
	}
	for src, want := range map[string]string{
		"[route.0x0720-0x072f]\n\"body-length = 1\" = 'drop'\nelse = 'drop'": `x:1: the rule 0x0720-0x072f is a section; only a single command can have cases; write them for each`,
		"[route.CID_MSG_DATA]\n" + many.String() + "else = 'drop'":           `x:1: CID_MSG_DATA has 65 cases, at most 64 are possible; write ranges, such as msg_type = 1-2`,
		"[route.CID_MSG_DATA]\n\"msg_type = 1\" = 'drop'\n":                  `x:1: the cases of CID_MSG_DATA have no else; write what happens if none of them holds, as in else = "broadcast-except-sender"`,
		"[route.CID_MSG_DATA]\nelse = 'drop'\n":                              `x:1: CID_MSG_DATA has no case but else; write it as a rule: CID_MSG_DATA = "drop"`,
		"[route.CID_MSG_DTA]\n\"body-length = 1\" = 'drop'\nelse = 'drop'":   `x:1: unknown command "CID_MSG_DTA"; did you mean CID_MSG_DATA?`,
		"[service.SID_FILE.CID_FILE_NOTIFI]\nelse = 'drop'":                  `x:1: unknown command "CID_FILE_NOTIFI"; did you mean CID_FILE_NOTIFY?`,
		"[route.0x0999]\n\"abc = 1\"='drop'\nelse = 'drop'":                  `x:2: the command has no known message to find the field "abc" in; compare body-length, or a field by its number, as in field 5`,
	} {
		if _, err := Parse("x", []byte(src)); err == nil || err.Error() != want {
			t.Errorf("%s:\ngot  %v\nwant %s", src, err, want)
		}
	}
}
