package dialogue

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"switchyard/pdu"
)

// The recorded dialogues that need no more of a server than the fake can do.
var simple = []string{
	"header_fields_forwarded", "heartbeat_from_client", "join_and_leave", "large_body_1mb", "length_sixteen",
	"no_dedupe_and_order", "role_set", "route_each_file", "route_each_msg", "route_each_switch",
	"route_service_id_mismatch", "route_unknown_cids",
}

func TestPlayRecordedDialogues(t *testing.T) { playRecorded(t, simple...) }

// playRecorded plays recorded dialogues with the fake.
func playRecorded(t *testing.T, names ...string) {
	dialogues, err := Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	var played []string
	for _, d := range dialogues {
		if !slices.Contains(names, d.Name) {
			continue
		}
		played = append(played, d.Name)
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			f := fake{}
			got, err := d.Play(t.Context(), f.start(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := Compare(d.Want, got); err != nil {
				t.Error(err)
			}
		})
	}
	if !slices.Equal(played, names) {
		t.Errorf("played %q, want %q", played, names)
	}
}

func message(seq uint16) []byte {
	return pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, seq, []byte("hello"))
}

// talk is a dialogue in which A says hello three times, the third time on its way out.
func talk() Dialogue {
	return Dialogue{
		Name: "talk",
		steps: []step{
			{op: opOpen, conn: "A"},
			{op: opOpen, conn: "B"},
			{op: opSettle},
			{op: opSend, conn: "A", data: message(1)},
			{op: opSend, conn: "A", data: message(2), chunk: 5},
			{op: opSettle},
			{op: opSend, conn: "A", data: slices.Concat(message(3), make([]byte, pdu.HeaderLen))},
			{op: opExpectClosed, conn: "A"},
			{op: opClose, conn: "B"},
			{op: opSettle},
		},
		Want: Transcript{Name: "talk", Conns: []Connection{
			{Name: "A", State: StateClosed},
			{Name: "B", State: StateLeft, PDUs: []PDU{record(message(1), 3), record(message(2), 4), record(message(3), 6)}},
		}},
	}
}

func TestPlay(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		spoil func([]byte) []byte
		want  string // in the error of Compare; nothing: no error
	}{
		{"right", nil, ""},
		{"heartbeats between", func(b []byte) []byte { return slices.Concat(heartbeat, b, heartbeat) }, ""},
		{"missing", only(2, func([]byte) []byte { return nil }), "connection B: PDU 1 differs"},
		{"last missing", only(3, func([]byte) []byte { return nil }), "connection B: PDU 2 is missing"},
		{"twice", only(3, func(b []byte) []byte { return slices.Concat(b, b) }), "connection B: PDU 3 is one too many"},
		{"changed", only(2, func(b []byte) []byte { return bytes.ToUpper(b) }), "connection B: PDU 1 differs, recorded after step 4, received after step 4"},
		{"tail", only(3, func(b []byte) []byte { return slices.Concat(b, []byte{0, 0, 1}) }), `bytes behind the last PDU: want "", got "000001"`},
		{"heartbeat with a body", only(3, func(b []byte) []byte {
			return slices.Concat(b, pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT, 0, []byte{0}))
		}), "CID_OTHER_HEARTBEAT"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d, f := talk(), fake{spoil: test.spoil}
			got, err := d.Play(t.Context(), f.start(t))
			if err != nil {
				t.Fatal(err)
			}
			check(t, Compare(d.Want, got), test.want)
		})
	}
}

// only spoils the PDU with that sequence number.
func only(seq uint16, spoil func([]byte) []byte) func([]byte) []byte {
	return func(b []byte) []byte {
		if pdu.ParseHeader(b).Seq != seq {
			return b
		}
		return spoil(bytes.Clone(b))
	}
}

// check holds an error against a part of its text; nothing stands for no error.
func check(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("unexpected error: %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("error %v, want one with %q", err, want)
	}
}

func TestPlayWithoutAnswers(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	patience := errors.New("out of patience")
	f := fake{mute: true, spoil: only(2, func(b []byte) []byte { cancel(patience); return b })}
	addr := f.start(t)
	d := talk()
	d.steps = slices.Delete(d.steps, 2, 3) // the settling before the first PDU
	_, err := d.Play(ctx, addr)
	if !errors.Is(err, patience) {
		t.Errorf("error %v, want it to wrap %v", err, patience)
	}
	check(t, err, "step 4 (settle): connection A got no answer to a users status request")
}

func TestPlayWithoutServer(t *testing.T) {
	f := fake{}
	addr := f.start(t)
	f.stop()
	_, err := talk().Play(t.Context(), addr)
	check(t, err, "play talk, step 0 (open A): connect")
}

// Nothing but silence can tell that a part of a PDU was handled, or a connection
// closed; the settling request must not be put into the middle.
func TestSettleBetweenPDUs(t *testing.T) {
	t.Parallel()
	whole := message(1)
	d := Dialogue{Name: "cut", steps: []step{
		{op: opOpen, conn: "A"},
		{op: opOpen, conn: "B"},
		{op: opSend, conn: "A", data: whole[:20]},
		{op: opSettle},
		{op: opSend, conn: "A", data: whole[20:]},
		{op: opSettle},
		{op: opHalfClose, conn: "A"},
		{op: opExpectClosed, conn: "A"},
	}}
	want := Transcript{Name: "cut", Conns: []Connection{
		{Name: "A", State: StateClosed},
		{Name: "B", State: StateOpen, PDUs: []PDU{record(whole, 4)}},
	}}
	f := fake{}
	got, err := d.Play(t.Context(), f.start(t))
	if err != nil {
		t.Fatal(err)
	}
	check(t, Compare(want, got), "")
	if step := got.Conns[1].PDUs[0].Step; step != 4 {
		t.Errorf("PDU received after step %d, want 4", step)
	}
}

func TestSettlingRequest(t *testing.T) {
	request, answer := settlingRequest(7)
	mark := "a2010c" + hex.EncodeToString([]byte("settled?")) + "00000007"
	if got, want := hex.EncodeToString(request), "00000025"+"0001"+"0000"+"0002"+"020a"+"0007"+"0000"+"08feffffff07"+mark; got != want {
		t.Errorf("request %s, want %s", got, want)
	}
	if got, want := hex.EncodeToString(answer), "00000025"+"0001"+"0000"+"0002"+"020b"+"0007"+"0000"+"08feffffff07"+mark; got != want {
		t.Errorf("answer %s, want %s", got, want)
	}
}
