package unicast

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
)

const (
	toUser      = abi.Unicast | abi.ToFields<<abi.SelectorShift | abi.NotSender | abi.ElseBroadcast | 1<<1<<abi.ArgumentShift
	toRecipient = abi.Unicast | abi.ToFields<<abi.SelectorShift | abi.NotSender | abi.ElseBroadcast | 1<<2<<abi.ArgumentShift
	toBoth      = toUser | toRecipient
)

// It differs from TeamTalk's table in five of all 65,536 command ids.
func TestEveryCommand(t *testing.T) {
	differs := map[pdu.CommandID]policy.Verdict{
		pdu.CID_MSG_DATA:                         abi.BroadcastExceptSender | abi.InspectBodyOf,
		pdu.CID_MSG_READ_NOTIFY:                  toUser,
		pdu.CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY: toUser,
		pdu.CID_SWITCH_P2P_CMD:                   toBoth,
		pdu.CID_FILE_NOTIFY:                      toRecipient,
	}
	ours, original := generation(t, Module), generation(t, teamtalkModule)
	for _, service := range []pdu.ServiceID{0, 3, 8, 0x0301, 0xffff} {
		for c := range 1 << 16 {
			command := pdu.CommandID(c)
			want, _ := original.Classify(service, command)
			if v, ok := differs[command]; ok {
				want = v
			}
			if got, fault := ours.Classify(service, command); got != want || fault != nil {
				t.Fatalf("%v %v: got %v, %v, want %v", service, command, got, fault, want)
			}
		}
	}
}

// chat returns the body of a chat of this type, followed by more.
func chat(kind uint64, more ...byte) []byte {
	b := []byte{0x08, 7, 0x10, 0x88, 0x27, 0x18, 1, 0x20, 1, 0x28}
	b = protowire.AppendVarint(b, kind)
	return append(append(b, 0x32, 3, 'a', 'b', 'c'), more...)
}

func TestChats(t *testing.T) {
	g := generation(t, Module)
	large := proto.Clone(&pb.IMMsgData{FromUserId: proto.Uint32(1), ToSessionId: proto.Uint32(2), MsgId: proto.Uint32(3), CreateTime: proto.Uint32(4),
		MsgType: pb.MsgType_MSG_TYPE_SINGLE_AUDIO.Enum(), MsgData: make([]byte, 60<<10)})
	for _, c := range []struct {
		name string
		body []byte
		want policy.Verdict
	}{
		{"single text", chat(1), toBoth},
		{"single audio", chat(2), toBoth},
		{"group text", chat(17), abi.BroadcastExceptSender},
		{"group audio", chat(18), abi.BroadcastExceptSender},
		{"attached data", chat(1, 0xa2, 0x01, 2, 8, 17), toBoth},
		{"large", pdutest.PDU(pdu.CID_MSG_DATA, 0, large)[pdu.HeaderLen:], toBoth},
		{"type 0", chat(0), abi.BroadcastExceptSender},
		{"type 3", chat(3), abi.BroadcastExceptSender},
		{"a type that is 1 in 32 bits", chat(1<<32 + 1), abi.BroadcastExceptSender},
		{"the largest type", chat(1<<64 - 1), abi.BroadcastExceptSender},
		{"no type", []byte{0x08, 7, 0x10, 8}, abi.BroadcastExceptSender},
		{"nothing", nil, abi.BroadcastExceptSender},
		{"single, then single", chat(1, 0x28, 2), toBoth},
		{"single, then group", chat(1, 0x28, 17), abi.BroadcastExceptSender},
		{"group, then single", chat(17, 0x28, 1), abi.BroadcastExceptSender},
		{"type as bytes", append([]byte{0x2a, 1, 1}, 0x08, 7), abi.BroadcastExceptSender},
		{"type as bytes behind one that counts", chat(1, 0x2a, 1, 17), toBoth},
		{"unknown fields", chat(1, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7d, 1, 2, 3, 4), toBoth},
		{"a type inside of bytes", chat(17, 0x32, 2, 0x28, 1), abi.BroadcastExceptSender},
		{"an overlong type", chat(1, 0x28, 0x81, 0x80, 0x80, 0x00), toBoth},
		{"a varint of ten bytes", chat(1, 0x78, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), toBoth},
		{"a varint of eleven", chat(1, 0x78, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), abi.BroadcastExceptSender},
		{"field 0", chat(1, 0x00, 1), abi.BroadcastExceptSender},
		{"a field of 30 bits", chat(1, 0x80, 0x80, 0x80, 0x80, 0x10, 1), abi.BroadcastExceptSender},
		{"a group of fields", chat(1, 0x7b, 0x7c), abi.BroadcastExceptSender},
		{"wire type 7", chat(1, 0x7f), abi.BroadcastExceptSender},
		{"cut in a tag", chat(1, 0x80), abi.BroadcastExceptSender},
		{"cut in a varint", chat(1, 0x78, 0x80), abi.BroadcastExceptSender},
		{"cut in bytes", chat(1, 0x32, 5, 'a'), abi.BroadcastExceptSender},
		{"cut in a length", chat(1, 0x32, 0x80), abi.BroadcastExceptSender},
		{"bytes without end", chat(1, 0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), abi.BroadcastExceptSender},
		{"cut in 64 bits", chat(1, 0x79, 1, 2, 3, 4, 5, 6, 7), abi.BroadcastExceptSender},
		{"256 fields", append([]byte{0x28, 1}, bytes.Repeat([]byte{0x78, 1}, 255)...), toBoth},
		{"257 fields", append([]byte{0x28, 1}, bytes.Repeat([]byte{0x78, 1}, 256)...), abi.BroadcastExceptSender},
		{"64 KiB of small fields", append([]byte{0x28, 1}, bytes.Repeat([]byte{0x78, 1}, 32<<10-1)...), abi.BroadcastExceptSender},
		{"cut in 32 bits", chat(1, 0x7d, 1, 2, 3), abi.BroadcastExceptSender},
	} {
		got, fault := g.Judge(pdutest.Raw(pdu.CID_MSG_DATA, 1, c.body), 1, 0)
		if got != c.want || fault != nil {
			t.Errorf("%s: got %v, %v, want %v", c.name, got, fault, c.want)
		}
	}
	got, fault := g.Judge(pdutest.Raw(pdu.CID_MSG_DATA, 1, chat(1, make([]byte, 64<<10)...)), 1, 0)
	if got != abi.BroadcastExceptSender || fault == nil || fault.Kind != policy.FaultBody {
		t.Errorf("a body that is too large: got %v, %v, want it broadcast, with a fault", got, fault)
	}
}

// The policy unicasts a body only if every reader takes it for a single chat or for none.
func FuzzChats(f *testing.F) {
	g := generation(f, Module)
	for _, kind := range []uint64{0, 1, 2, 17, 1<<32 + 1} {
		f.Add(chat(kind))
		f.Add(chat(kind, 0x28, 17))
		f.Add(chat(kind, 0x2a, 1, 17))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, fault := g.Judge(pdutest.Raw(pdu.CID_MSG_DATA, 1, body), 1, 0)
		if fault != nil {
			g.ResetBreaker()
		}
		var m pb.IMMsgData
		err := proto.Unmarshal(body, &m)
		single := m.GetMsgType() == pb.MsgType_MSG_TYPE_SINGLE_TEXT || m.GetMsgType() == pb.MsgType_MSG_TYPE_SINGLE_AUDIO
		switch {
		case v != toBoth && v != abi.BroadcastExceptSender:
			t.Errorf("verdict %v", v)
		case v == toBoth && err == nil && !single:
			t.Errorf("unicast though it has type %d: % x", m.GetMsgType(), body)
		}
		if canonical, _ := proto.Marshal(&m); err == nil && single && fault == nil && bytes.Equal(canonical, body) && len(m.ProtoReflect().GetUnknown()) == 0 && v != toBoth {
			t.Errorf("broadcast though it is a plain single chat: % x", body)
		}
	})
}

// The README's table lists exactly what the policy changes.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(readme)) {
		cells := strings.Split(strings.ReplaceAll(line, "`", ""), "|")
		if len(cells) > 3 && strings.HasPrefix(cells[1], " 0x") {
			rows[strings.TrimSpace(cells[1])] = strings.TrimSpace(cells[2])
		}
	}
	ours, original := generation(t, Module), generation(t, teamtalkModule)
	for _, c := range pdu.Commands {
		name := fmt.Sprintf("%#04x %v", uint16(c.ID), c.ID)
		v, _ := ours.Classify(c.Service, c.ID)
		before, _ := original.Classify(c.Service, c.ID)
		row, listed := rows[name]
		delete(rows, name)
		if v != before && !listed || listed && row != v.String() {
			t.Errorf("%s: README.md says %q, the policy %q", name, row, v)
		}
	}
	for row := range rows {
		t.Errorf("README.md has a row for %s, which is not a command", row)
	}
}

func BenchmarkSingleChat(b *testing.B) {
	g := generation(b, Module)
	p := pdutest.Raw(pdu.CID_MSG_DATA, 1, chat(1, append([]byte{0xa2, 0x01, 100}, make([]byte, 100)...)...))
	b.ReportAllocs()
	for b.Loop() {
		g.Judge(p, 1, 0)
	}
}
