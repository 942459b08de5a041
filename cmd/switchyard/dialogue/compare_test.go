package dialogue

import (
	"encoding/json"
	"strings"
	"testing"
)

func copyOf(t *testing.T, d Transcript) Transcript {
	t.Helper()
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var c Transcript
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCompare(t *testing.T) {
	long := record(append(message(4), make([]byte, 600)...), 8)
	base := talk().Want
	base.Conns[1].PDUs = append(base.Conns[1].PDUs, long)
	for _, test := range []struct {
		name   string
		change func(*Transcript)
		want   string
	}{
		{"nothing", func(*Transcript) {}, ""},
		{"another step", func(c *Transcript) { c.Conns[1].PDUs[0].Step = 9 }, ""},
		{"another order of connections", func(c *Transcript) { c.Conns[0], c.Conns[1] = c.Conns[1], c.Conns[0] }, ""},
		{"connection missing", func(c *Transcript) { c.Conns = c.Conns[:1] }, "connection B is missing"},
		{"connection too many", func(c *Transcript) { c.Conns = append(c.Conns, Connection{Name: "C"}) }, "connection C is not in the recording"},
		{"PDU missing", func(c *Transcript) { c.Conns[1].PDUs = c.Conns[1].PDUs[:3] }, "connection B: PDU 3 is missing, recorded after step 8"},
		{"PDU too many", func(c *Transcript) { c.Conns[0].PDUs = []PDU{record(message(9), 5)} }, "connection A: PDU 0 is one too many, received after step 5:\n  got  CID_MSG_DATA (SID_MSG, version 1, flag 0, seq 9, reserved 0, length 21)"},
		{"order", func(c *Transcript) { p := c.Conns[1].PDUs; p[0], p[1] = p[1], p[0] }, "connection B: PDU 0 differs, recorded after step 3, received after step 4"},
		{"head", func(c *Transcript) { c.Conns[1].PDUs[1].Head = strings.Repeat("0", 32) }, "connection B: PDU 1 differs"},
		{"body", func(c *Transcript) { c.Conns[1].PDUs[2].Body = "68656c6c70" }, "connection B: PDU 2 differs"},
		{"body's hash", func(c *Transcript) { c.Conns[1].PDUs[3].BodySHA = "00" }, "605 bytes of sha256 00"},
		{"body's length", func(c *Transcript) { c.Conns[1].PDUs[3].BodyLen++ }, "606 bytes of sha256"},
		{"tail", func(c *Transcript) { c.Conns[1].Tail = "0000" }, `connection B: bytes behind the last PDU: want "", got "0000"`},
		{"state", func(c *Transcript) { c.Conns[0].State = StateOpen }, "connection A: state at the end: want closed, got open"},
		{"head cut off", func(c *Transcript) { c.Conns[1].PDUs[0].Head = "00" }, "got  no header: 00"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := copyOf(t, base)
			test.change(&got)
			check(t, Compare(base, got), test.want)
		})
	}
}

// A recording that expects a tail is not satisfied with none.
func TestCompareMissingTail(t *testing.T) {
	want := Transcript{Conns: []Connection{{Name: "A", State: StateOpen, Tail: "00000010"}}}
	got := Transcript{Conns: []Connection{{Name: "A", State: StateOpen}}}
	check(t, Compare(want, got), `want "00000010", got ""`)
}

func TestCompareTellsTheEarliestFirst(t *testing.T) {
	want := talk().Want
	got := copyOf(t, want)
	got.Conns[0].State = StateOpen
	got.Conns[1].PDUs[1].Body = ""
	got.Conns = append(got.Conns, Connection{Name: "C"})
	err := Compare(want, got)
	if err == nil {
		t.Fatal("no difference found")
	}
	text := err.Error()
	c, b, a := strings.Index(text, "connection C"), strings.Index(text, "connection B"), strings.Index(text, "connection A")
	if c < 0 || b < c || a < b {
		t.Errorf("want C before B before A in:\n%s", text)
	}
}
