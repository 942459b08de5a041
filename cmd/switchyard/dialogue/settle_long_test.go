//go:build full || race

package dialogue

import (
	"context"
	"errors"
	"testing"
)

// Connections go to the servers in turn, and all servers are level between the two rounds of each
// settling.
func TestPlayOver(t *testing.T) {
	t.Parallel()
	first, second := fake{}, fake{}
	levels := 0
	over := Servers{[]string{first.start(t), second.start(t)}, func(context.Context) error { levels++; return nil }, settleTimeout}
	d := Dialogue{Name: "over", steps: []step{
		{op: opOpen, conn: "A"}, {op: opOpen, conn: "B"}, {op: opOpen, conn: "C"},
		{op: opSettle},
		{op: opSend, conn: "A", data: message(1)},
		{op: opSettle},
	}}
	want := Transcript{Name: "over", Conns: []Connection{
		{Name: "A", State: StateOpen}, {Name: "B", State: StateOpen}, {Name: "C", State: StateOpen, PDUs: []PDU{record(message(1), 4)}},
	}}
	for _, d.quiet = range []bool{false, true} {
		got, err := d.PlayOver(t.Context(), over, func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		check(t, Compare(want, got), "")
	}
	if levels != 4 {
		t.Errorf("the servers were level %d times, want 4", levels)
	}
	apart := errors.New("apart")
	over.Level = func(context.Context) error { return apart }
	if _, err := d.PlayOver(t.Context(), over, func(int) {}); !errors.Is(err, apart) {
		t.Errorf("error %v, want it to wrap %v", err, apart)
	}
}
