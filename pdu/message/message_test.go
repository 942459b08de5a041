package message

import (
	"bytes"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pb"
)

func TestEveryCommandHasAType(t *testing.T) {
	for _, c := range pdu.Commands {
		if Type(c.ID) == nil && c.Message != "" {
			t.Errorf("%v has no type %s", c.ID, c.Message)
		}
	}
	if Type(0xbeef) != nil || Read(0xbeef, nil) != nil || JSON(0xbeef, nil) != nil {
		t.Error("an unknown command has a message")
	}
}

// What JSON writes, FromJSON reads, also for a body that lacks required fields.
func TestJSONAndBack(t *testing.T) {
	const want = `{"msg_type":"MSG_TYPE_SINGLE_TEXT","msg_data":"aGVsbG8="}`
	p := Append(nil, pdu.CID_MSG_DATA, 7, &pb.IMMsgData{MsgType: pb.MsgType_MSG_TYPE_SINGLE_TEXT.Enum(), MsgData: []byte("hello")})
	h, body := pdu.ParseHeader(p), p[pdu.HeaderLen:]
	if h.Command != pdu.CID_MSG_DATA || h.Service != pdu.SID_MSG || h.Seq != 7 || int(h.Length) != len(p) {
		t.Errorf("the header is %+v", h)
	}
	text := string(JSON(h.Command, body))
	if got := strings.ReplaceAll(text, " ", ""); got != want { // protojson varies its blanks
		t.Errorf("got %s, want %s", got, want)
	}
	if again, err := FromJSON(h.Command, []byte(text)); err != nil || !bytes.Equal(again, body) {
		t.Errorf("read back: %x, %v, want %x", again, err, body)
	}
}

// Text varies no blanks, neither between fields nor within their values.
func TestText(t *testing.T) {
	p := Append(nil, pdu.CID_MSG_DATA, 7, &pb.IMMsgData{MsgType: pb.MsgType_MSG_TYPE_SINGLE_TEXT.Enum(), MsgData: []byte(` two  blanks, "a  quote" `), AttachData: []byte("  ")})
	const want = `msg_type:MSG_TYPE_SINGLE_TEXT msg_data:" two  blanks, \"a  quote\" " attach_data:"  "`
	if got := Text(pdu.CID_MSG_DATA, p[pdu.HeaderLen:]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := Text(pdu.CID_MSG_DATA, []byte{0x08}); got != "" {
		t.Errorf("a truncated body has the text %s", got)
	}
}

func TestInvalid(t *testing.T) {
	if JSON(pdu.CID_MSG_DATA, []byte{0x08}) != nil {
		t.Error("a truncated body has JSON")
	}
	for text, says := range map[string]string{`{"from_user":1}`: "from_user", `{`: "unexpected", `{"msg_type":"X"}`: "msgType"} {
		if _, err := FromJSON(pdu.CID_MSG_DATA, []byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want an error about %q", text, err, says)
		}
	}
	if _, err := FromJSON(0xbeef, []byte(`{}`)); err == nil {
		t.Error("a body of an unknown command was encoded")
	}
}
