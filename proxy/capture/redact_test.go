package capture

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
)

func field(t testing.TB, text string) Field {
	t.Helper()
	f, err := ParseField(text)
	if err != nil {
		t.Fatal(err)
	}
	if f.String() != text {
		t.Fatalf("%s is spelled %s", text, f)
	}
	return f
}

func TestRedact(t *testing.T) {
	message := &pb.IMMsgData{FromUserId: proto.Uint32(300), ToSessionId: proto.Uint32(2), MsgId: proto.Uint32(3), CreateTime: proto.Uint32(4),
		MsgType: pb.MsgType_MSG_TYPE_SINGLE_TEXT.Enum(), MsgData: []byte("secret")}
	body, err := proto.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	length := len(body)
	field(t, "CID_MSG_DATA.msg_data").redact(body)
	field(t, "CID_MSG_DATA.from_user_id").redact(body)
	var got pb.IMMsgData
	if err := proto.Unmarshal(body, &got); err != nil || len(body) != length {
		t.Fatalf("%d bytes of %d, %v", len(body), length, err)
	}
	want := proto.CloneOf(message)
	want.FromUserId, want.MsgData = proto.Uint32(0), make([]byte, 6)
	if !proto.Equal(&got, want) {
		t.Errorf("got %v, want %v", &got, want)
	}
}

func TestRedactDeep(t *testing.T) {
	p := pdutest.Online(pdutest.Stat(70000, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_IOS), pdutest.Stat(5, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_IOS))
	length := len(p)
	field(t, "CID_OTHER_ONLINE_USER_INFO.user_stat_list.user_id").redact(p[pdu.HeaderLen:])
	var got pb.IMOnlineUserInfo
	if err := proto.Unmarshal(p[pdu.HeaderLen:], &got); err != nil || len(p) != length || len(got.UserStatList) != 2 {
		t.Fatalf("%v, %v", &got, err)
	}
	for _, s := range got.UserStatList {
		if s.GetUserId() != 0 || s.GetClientType() != pb.ClientType_CLIENT_TYPE_IOS {
			t.Errorf("got %v, want user 0 and the rest as it was", s)
		}
	}
}

// What cannot be parsed may contain a redacted value: all of it is zeroed.
func TestRedactNonsense(t *testing.T) {
	f := field(t, "CID_MSG_DATA.msg_data")
	secret := []byte("\x08\x01\x32\x06secret")
	for name, c := range map[string]struct{ body, want []byte }{
		"cut inside of the value":   {secret[:7], []byte("\x08\x01\x00\x00\x00\x00\x00")},
		"no message":                {[]byte("\xff\xff\xff\xffsecret"), make([]byte, 10)},
		"group of that number":      {[]byte("\x33\x08\x05\x34"), []byte("\x33\x00\x00\x00")},
		"another type of value":     {[]byte("\x30\x85\x05\x08\x01"), []byte("\x30\x80\x00\x08\x01")},
		"fixed 32":                  {[]byte("\x35abcd"), []byte("\x35\x00\x00\x00\x00")},
		"length beyond the message": {[]byte("\x32\x7fsecret"), make([]byte, 8)},
		"empty":                     {nil, nil},
	} {
		got := bytes.Clone(c.body)
		if f.redact(got); !bytes.Equal(got, c.want) {
			t.Errorf("%s: %x, want %x", name, got, c.want)
		}
	}
	all := []byte("secret")
	if field(t, "CID_MSG_DATA.*").redact(all); !bytes.Equal(all, make([]byte, 6)) {
		t.Errorf("the whole body: %x", all)
	}
}

func TestParseField(t *testing.T) {
	for text, want := range map[string]string{
		"CID_MSG_DATA":                  "names no field",
		"CID_MSG_DATA.msg_dat":          "did you mean msg_data?",
		"CID_MSG_DATA.zzzzzzzz":         "there are from_user_id, to_session_id",
		"CID_MSG_DAT.msg_data":          "did you mean CID_MSG_DATA",
		"CID_MSG_DATA.msg_data.further": "goes deeper",
		"0x0999.a":                      "write 0x0999.*",
		"0x10999.*":                     "is not a command id",
		".x":                            "unknown command",
	} {
		if _, err := ParseField(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
