package hub_test

import (
	"bytes"
	"sync"
	"testing"

	"switchyard/pdu/body"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// Users stay online in an upgrade while their msg_server goes over to another link, whether their link
// ended before or does not move. If it does not go over, they are released as after any end.
func TestLateSessionsInAnUpgrade(t *testing.T) {
	f := newFleet(t, 2)
	a, b := f.hubs[0], f.hubs[1]
	ended, stays := f.start("10.0.0.1", a), f.start("10.0.0.2", a)
	goesOver, wentOver := f.start("10.0.0.3", a, b), f.start("10.0.0.4", a, b)
	for i, s := range []*msgServer{ended, stays, goesOver, wentOver} {
		s.update(uint32(1+i), body.Online, body.ClientWindows)
	}
	want := func(when string, late int, users ...byte) {
		t.Helper()
		f.sync()
		for _, m := range f.hubs {
			if got := statuses(m.Hub); !bytes.Equal(got, users) {
				t.Errorf("%s: hub %d has the users %v, want %v", when, m.number, got, users)
			}
		}
		if n := a.Late(); n != late {
			t.Errorf("%s: %d sessions are late, want %d", when, n, late)
		}
	}
	ended.master.lost(ended)
	a.SayLate()
	wentOver.master.lost(wentOver)
	want("before the upgrade", 2, 1, 2, 3, 4)
	a.exchange()
	want("after it", 3, 1, 2, 3, 4) // one was replaced
	goesOver.lose(goesOver.master)
	want("after going over", 3, 1, 2, 3, 4)
	if n := a.SayLate(); n != 2 {
		t.Errorf("%d sessions are late after the first call, want those that were not replaced", n)
	}
	want("after the first call", 2, 1, 2, 3, 4)
	a.SayLate()
	want("after the second call", 0, 3, 4)
	hubtest.Conserved(t, a.Hub)
	hubtest.Conserved(t, b.Hub)
}

// A tenant calls SayLate from its beginning, also while it gets its order; -race checks it.
func TestOrderIsSetBesideSayLate(t *testing.T) {
	f := newFleet(t, 1)
	m := f.hubs[0]
	next := New(f.active, 1<<40)
	var ticking sync.WaitGroup
	ticking.Go(func() { next.SayLate() })
	next.SetOrder(m, m.number)
	ticking.Wait()
	if n := next.SayLate(); n != 0 {
		t.Errorf("%d sessions are late at a hub without any", n)
	}
}

// exchange has another process continue as the hub. None of the connections moves.
func (m *fleetHub) exchange() {
	t := m.all.t
	t.Helper()
	underway, err := m.ExportUnderway()
	if err != nil {
		t.Fatal(err)
	}
	next := New(m.all.active, 1<<40)
	next.SetOrder(m, m.number)
	next.SetStandbyLinks()
	var chunks [][]byte
	m.ExportPresence(noSeat, func(chunk []byte) error {
		chunks = append(chunks, bytes.Clone(chunk))
		return nil
	})
	if err := next.Import(sent(t, m.Export(noSeat)), feedOf(chunks)); err != nil {
		t.Fatal(err)
	}
	if err := next.RestoreUnderway(underway); err != nil {
		t.Fatal(err)
	}
	m.Hub = next
}
