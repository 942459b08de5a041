//go:build full

package wireshark

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/capture"
	"switchyard/proxy/hub"
)

// tshark dissects a file with the shipped dissector, and returns what it prints.
func tshark(t *testing.T, file string, args ...string) string {
	t.Helper()
	return tsharkWith(t, "teamtalk.lua", file, args...)
}

func tsharkWith(t *testing.T, lua, file string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Fatal("tshark is not installed: apt-get install tshark")
	}
	cmd := exec.Command("tshark", append([]string{"-X", "lua_script:" + lua, "-r", file}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=", "LC_ALL=C", "TZ=UTC")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || strings.Contains(stderr.String(), "Lua") {
		t.Fatalf("tshark: %v\n%s", err, stderr.String())
	}
	if strings.Contains(stdout.String(), "Lua Error") {
		t.Fatalf("the dissector fails:\n%s", stdout.String())
	}
	return stdout.String()
}

// wantRows wants tab-separated rows of fields.
func wantRows(t *testing.T, got string, want ...string) {
	t.Helper()
	rows := strings.Split(strings.TrimRight(got, "\n"), "\n")
	for i, row := range rows {
		rows[i] = strings.TrimRight(row, "\t")
	}
	if !slices.Equal(rows, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
}

func columns(names ...string) []string {
	args := []string{"-T", "fields"}
	for _, name := range names {
		args = append(args, "-e", name)
	}
	return args
}

func chat() []byte {
	from, to, one := uint32(5), uint32(7), uint32(1)
	return pdutest.PDU(pdu.CID_MSG_DATA, 3, &pb.IMMsgData{FromUserId: &from, ToSessionId: &to, MsgId: &one, CreateTime: &one,
		MsgType: pb.MsgType_MSG_TYPE_SINGLE_TEXT.Enum(), MsgData: []byte("hello")})
}

func group(t *testing.T, name string) policy.Group {
	g, err := policy.GroupNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// recorded is a capture as the server makes it, with every kind of record.
func recorded(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "c.pcapng")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := capture.NewWriter(f, "a test")
	if err != nil {
		t.Fatal(err)
	}
	w.AddTenant(capture.Tenant{Name: "default", Bodies: true})
	w.AddTenant(capture.Tenant{Name: "acme"})
	large := pdutest.Raw(pdu.CID_FILE_NOTIFY, 9, make([]byte, 1<<20))
	online := pdutest.Online(pdutest.Stat(5, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_IOS))
	for i, r := range []capture.Record{
		{Kind: capture.Joined, Session: 1, Known: true, Master: true},
		{Session: 1, Known: true, PDU: online},
		{Session: 1, Verdict: abi.BroadcastExceptSender, PDU: chat(), Policy: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}},
		{Session: 70000, Verdict: abi.Unicast | abi.ToUser<<abi.SelectorShift | 77<<abi.ArgumentShift, Fault: policy.FaultFuel, PDU: pdutest.Raw(0x0999, 1, nil), Missed: 12},
		{Session: 2, Tenant: 1, Verdict: abi.Consume, PDU: chat()[:pdu.HeaderLen], Length: len(chat())},
		{Session: 2, Tenant: 1, PDU: large, Redacted: true},
		{Kind: capture.Grouped, Session: 1, Known: true, Membership: &hub.Membership{Groups: []policy.Group{group(t, "admin"), group(t, "archive")}, Muted: true}},
		{Kind: capture.Grouped, Session: 2},
		{Kind: capture.Left, Session: 1},
	} {
		r.Time = time.Unix(1_800_000_000, int64(i))
		if r.Length == 0 {
			r.Length = len(r.PDU)
		}
		if err := w.Write(&r); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 {
		w.Statistics(i, time.Unix(1_800_000_001, 0), capture.Statistics{PDUs: 3, Missed: 12, Ended: "the test is over"})
	}
	return name
}

func TestCapture(t *testing.T) {
	file := recorded(t)
	wantRows(t, tshark(t, file, columns("frame.time_epoch", "frame.interface_name", "_ws.col.Source", "_ws.col.Protocol", "_ws.col.Info", "frame.comment")...),
		"1800000000.000000000\tdefault\tsession 1\tSwitchyard\tjoined\tthe peer joins; known before the capture began",
		"1800000000.000000001\tdefault\tsession 1\tTeamTalk\tCID_OTHER_ONLINE_USER_INFO seq 0 len 24 (known before)\tusers of the peer; known before the capture began",
		"1800000000.000000002\tdefault\tsession 1\tTeamTalk\tCID_MSG_DATA seq 3 len 33 > broadcast-except-sender\tbroadcast-except-sender",
		"1800000000.000000003\tdefault\tsession 70000\tTeamTalk\t0x0999 seq 1 len 16 > unicast, fault fuel\tunicast user 77; the policy failed: fuel",
		"1800000000.000000004\tacme\tsession 2\tTeamTalk\tCID_MSG_DATA seq 3 len 33 > consume\tconsume",
		"1800000000.000000005\tacme\tsession 2\tTeamTalk\tCID_FILE_NOTIFY seq 9 len 1048592 > drop\tdrop",
		"1800000000.000000006\tdefault\tsession 1\tSwitchyard\tgrouped\tthe peer is in admin, archive, and gets no broadcasts; known before the capture began",
		"1800000000.000000007\tdefault\tsession 2\tSwitchyard\tgrouped\tthe peer is in no group",
		"1800000000.000000008\tdefault\tsession 1\tSwitchyard\tleft\tthe peer leaves")
	wantRows(t, tshark(t, file, columns("switchyard.kind", "switchyard.session", "switchyard.known", "switchyard.master", "switchyard.redacted", "switchyard.fault",
		"switchyard.action", "switchyard.argument", "switchyard.policy", "teamtalk.service", "teamtalk.command", "teamtalk.seq", "teamtalk.length", "teamtalk.version")...),
		"1\t1\t1\t1\t0",
		"0\t1\t1\t0\t0\t0\t0\t0\t0000000000000000\t0x0007\t0x0708\t0\t24\t1",
		"0\t1\t0\t0\t0\t0\t4\t0\t0102030405060708\t0x0003\t0x0301\t3\t33\t1",
		"0\t70000\t0\t0\t0\t2\t3\t77\t0000000000000000\t0x0009\t0x0999\t1\t16\t1",
		"0\t2\t0\t0\t0\t0\t1\t0\t0000000000000000\t0x0003\t0x0301\t3\t33\t1",
		"0\t2\t0\t0\t1\t0\t0\t0\t0000000000000000\t0x0005\t0x0508\t9\t1048592\t1",
		"3\t1\t1\t0\t0",
		"3\t2\t0\t0\t0",
		"2\t1\t0\t0\t0")
	wantRows(t, tshark(t, file, append([]string{"-Y", "switchyard.kind == 3"}, columns("switchyard.muted", "switchyard.groups")...)...), "1\tadmin,archive", "0")
	// Bytes that were not kept are marked as missing, and a filter finds the mark.
	wantRows(t, tshark(t, file, append([]string{"-Y", "teamtalk.cut"}, columns("frame.number")...)...), "5", "6")
	wantRows(t, tshark(t, file, append([]string{"-Y", `teamtalk.command == "CID_MSG_DATA" && switchyard.action == "consume"`}, columns("frame.number")...)...), "5")
}

// Bodies are shown by field number, and by name where the messages are known.
func TestProtobuf(t *testing.T) {
	file := recorded(t)
	args := []string{"-Y", "frame.number == 3", "-O", "teamtalk,protobuf"}
	if got := tshark(t, file, args...); !strings.Contains(got, "Protocol Buffers: IM.Message.IMMsgData") || !strings.Contains(got, "Field(2): 7 (uint32)") {
		t.Errorf("without the messages it prints\n%s", got)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	args = append(args, "-o", `uat:protobuf_search_paths:"`+root+`","FALSE"`, "-o", `uat:protobuf_search_paths:"`+root+`/pdu/pb","TRUE"`)
	got := tshark(t, file, args...)
	for _, want := range []string{"from_user_id = 5", "to_session_id = 7", "msg_type = MSG_TYPE_SINGLE_TEXT(1)"} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not print %q:\n%s", want, got)
		}
	}
	if got := tshark(t, file, "-o", "teamtalk.protobuf:FALSE", "-Y", "protobuf"); got != "" {
		t.Errorf("asked not to, it shows\n%s", got)
	}
}

// onWire is a classic capture of segments on a TCP connection, each from one end.
func onWire(t *testing.T, port uint16, segments ...[]byte) string {
	t.Helper()
	file := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	file = binary.LittleEndian.AppendUint16(file, 2)
	file = binary.LittleEndian.AppendUint16(file, 4)
	for _, v := range []uint32{0, 0, 1 << 18, 101} { // raw IP
		file = binary.LittleEndian.AppendUint32(file, v)
	}
	seq := uint32(1000)
	for _, s := range segments {
		ip := []byte{0x45, 0, 0, 0, 0, 1, 0, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1}
		binary.BigEndian.PutUint16(ip[2:], uint16(40+len(s)))
		tcp := binary.BigEndian.AppendUint16(nil, 40000)
		tcp = binary.BigEndian.AppendUint16(tcp, port)
		tcp = binary.BigEndian.AppendUint32(tcp, seq)
		tcp = append(tcp, 0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0)
		seq += uint32(len(s))
		for _, v := range []int{0, 0, 40 + len(s), 40 + len(s)} {
			file = binary.LittleEndian.AppendUint32(file, uint32(v))
		}
		file = slices.Concat(file, ip, tcp, s)
	}
	name := filepath.Join(t.TempDir(), "wire.pcap")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// Custom commands are shown by the names that the configuration gives them, and their fields by those of
// its .proto file.
func TestCustomCommands(t *testing.T) {
	t.Cleanup(func() { pdu.SetCustomCommands(nil) })
	pdu.SetCustomCommands([]pdu.Command{{Service: 9, ID: 0x0901, Name: "CID_MY_ORDER", Message: "my.Order"}})
	dir := t.TempDir()
	text, err := Dissector()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"own.lua": string(text), "my.proto": "syntax = \"proto2\";\npackage my;\nmessage Order { optional uint32 buyer = 1; }\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wire := onWire(t, 8200, pdutest.Raw(0x0901, 1, []byte{8, 7}))
	got := tsharkWith(t, filepath.Join(dir, "own.lua"), wire, "-O", "teamtalk,protobuf", "-o", `uat:protobuf_search_paths:"`+dir+`","TRUE"`)
	for _, want := range []string{"TeamTalk PDU, CID_MY_ORDER, 18 bytes", "Message: my.Order", "buyer = 7"} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not print %q:\n%s", want, got)
		}
	}
}

// On a connection PDUs are found however TCP cuts them.
func TestTCP(t *testing.T) {
	stream := slices.Concat(chat(), pdutest.Heartbeat(), pdutest.RoleSet(true), pdutest.Raw(0x0999, 4, make([]byte, 300)))
	fields := columns("_ws.col.Protocol", "teamtalk.command", "teamtalk.length")
	file := onWire(t, 8200, stream[:10], stream[10:40], stream[40:60], stream[60:])
	wantRows(t, tshark(t, file, fields...),
		"TCP",
		"TeamTalk\t0x0301\t33",
		"TeamTalk\t0x0701\t16",
		"TeamTalk\t0x0707,0x0999\t18,316")
	wantRows(t, tshark(t, file, append([]string{"-Y", "frame.number == 4"}, columns("_ws.col.Info")...)...),
		"CID_OTHER_ROLE_SET seq 0 len 18, 0x0999 seq 4 len 316")
	// Another port, if it is named.
	other := onWire(t, 9999, stream)
	wantRows(t, tshark(t, other, fields...), "TCP")
	wantRows(t, tshark(t, other, append([]string{"-o", "teamtalk.ports:9990-9999"}, fields...)...), "TeamTalk\t0x0301,0x0701,0x0707,0x0999\t33,16,18,316")
	// Bytes that cannot be a PDU are marked as such.
	runt := pdutest.Heartbeat()
	runt[3] = 15
	for _, length := range []byte{0, 0xff} {
		runt[0] = length
		got := tshark(t, onWire(t, 8200, runt), append([]string{"-Y", "teamtalk.bad_length"}, columns("frame.number")...)...)
		wantRows(t, got, "1")
	}
}

// Bodies that are not Protobuf, of which some lengths end Wireshark's own dissector by a
// fault, are shown as bytes, however many there are.
func TestDamagedBodies(t *testing.T) {
	var segments [][]byte
	var want []string
	for range 100 {
		for _, body := range []string{"\x12\x86\xb4\xd0\xaf\xeb\x01\x78", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", "\x0a\x05x", "\x08\xff", "\x0f", "\x0dx"} {
			segments = append(segments, pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte(body)))
			want = append(want, fmt.Sprintf("0x0301\t%x", body))
		}
	}
	segments, want = append(segments, chat()), append(want, fmt.Sprintf("0x0301\t%x", chat()[pdu.HeaderLen:]))
	file := onWire(t, 8200, segments...)
	wantRows(t, tshark(t, file, columns("teamtalk.command", "teamtalk.body")...), want...)
	wantRows(t, tshark(t, file, append([]string{"-Y", "protobuf"}, columns("frame.number")...)...), fmt.Sprint(len(segments)))
}

// Without the dissector Wireshark opens a capture, too.
func TestWithoutTheDissector(t *testing.T) {
	file := recorded(t)
	tshark(t, file)
	cmd := exec.Command("tshark", "-r", file, "-T", "fields", "-e", "exported_pdu.prot_name", "-e", "frame.interface_name")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	got, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(got), "switchyard\t"); n != 9 {
		t.Errorf("it shows %d packets that name their dissector, want 9:\n%s", n, got)
	}
}
