package admin

import (
	"strings"
	"testing"

	"switchyard/proxy/admin/api"
	"switchyard/proxy/capture"
)

// A form learns the names, numbers and types of a command's fields.
func TestCommandFields(t *testing.T) {
	t.Parallel()
	f := start(t, patient)
	var got api.Command
	f.tell("/api/v1/command?command=CID_MSG_DATA", &got)
	if got.Command != "CID_MSG_DATA" || got.ID != 0x301 || got.Service != "SID_MSG" || len(got.Fields) < 6 {
		t.Fatalf("got %+v", got)
	}
	byName := make(map[string]api.Field)
	for i, field := range got.Fields {
		byName[field.Name] = field
		if i > 0 && field.Number <= got.Fields[i-1].Number {
			t.Errorf("field %d is after %d", field.Number, got.Fields[i-1].Number)
		}
	}
	if from := byName["from_user_id"]; from.Number != 1 || from.Type != "uint32" || !from.Required || from.Repeated {
		t.Errorf("from_user_id is %+v", from)
	}
	if kind := byName["msg_type"]; kind.Type != "enum" || kind.Values["MSG_TYPE_SINGLE_TEXT"] != 1 {
		t.Errorf("msg_type is %+v", kind)
	}
	f.tell("/api/v1/command?command=0x0999", &got)
	if got.Command != "0x0999" || got.Message != "" || len(got.Fields) != 0 {
		t.Errorf("an unknown command: %+v", got)
	}
}

// One session can be asked about alone, and tapped alone.
func TestOneSession(t *testing.T) {
	t.Parallel()
	f := startFull(t)
	var got api.Connections
	f.tell("/api/v1/connections?session=2", &got)
	if got.Total != 1 || len(got.Connections) != 1 || got.Connections[0].Session != 2 {
		t.Errorf("got %+v", got)
	}
	r := f.ask("GET", "/api/v1/connections?session=0")
	if text := f.read(r); r.StatusCode != 400 || !strings.Contains(text, "from 1") {
		t.Errorf("session 0: %d %s", r.StatusCode, text)
	}
	w := &tapWriter{tapOptions: tapOptions{session: 7}, sources: []capture.Source{{Name: "acme"}}}
	for _, session := range []uint64{7, 8} {
		if _, wanted := w.line(&capture.Record{Kind: capture.Left, Session: session}); wanted != (session == 7) {
			t.Errorf("a tap of session 7 shows session %d: %t", session, wanted)
		}
	}
	if line, wanted := w.line(&capture.Record{Kind: capture.Grouped, Session: 7}); wanted {
		t.Errorf("a tap shows %+v of a peer's groups", line)
	}
}
