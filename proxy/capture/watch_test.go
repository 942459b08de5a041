package capture

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/proxy/hub/hubtest"
)

// A watcher gets the records, and the counts once in a while.
func TestWatch(t *testing.T) { synctest.Test(t, watch) }

func watch(t *testing.T) {
	one, two := newHub(), newHub()
	a, b := hubtest.Join(one), hubtest.Join(two)
	m := pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte("hello"))
	enough := errors.New("enough")
	var sent []Record
	begun := false
	err := Watch(t.Context(), []Source{{"one", one}, {"two", two}}, Options{Bodies: true, Commands: []pdu.CommandID{pdu.CID_MSG_DATA}},
		func(records []Record, missed []uint64) error {
			if len(missed) != 2 {
				t.Errorf("missed %v, want two numbers", missed)
			}
			if !begun {
				begun = true
				a.Send(t, m, pdutest.Heartbeat())
				b.Send(t, m)
			}
			for _, r := range records {
				if r.Kind == PDU {
					r.PDU = bytes.Clone(r.PDU)
					sent = append(sent, r)
				}
			}
			if len(records) == 0 && len(sent) == 2 {
				return enough
			}
			return nil
		})
	if err != enough || len(sent) != 2 {
		t.Fatalf("%v, %+v", err, sent)
	}
	for i, r := range sent {
		if r.Tenant != i || !bytes.Equal(r.PDU, m) || !r.Whole() {
			t.Errorf("got %+v", r)
		}
	}
}

// A slow watcher misses records for which there is no room, and learns how many.
func TestWatchMisses(t *testing.T) {
	h := newHub()
	a := hubtest.Join(h)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m := bytes.Repeat(pdutest.Heartbeat(), 1000)
	shown, calls := 0, 0
	var last []uint64
	err := Watch(ctx, []Source{{"one", h}}, Options{}, func(records []Record, missed []uint64) error {
		if calls++; calls == 1 {
			for range 2 * maxRecords / 1000 {
				a.Send(t, m)
			}
			cancel()
		}
		shown += len(records)
		last = missed
		return nil
	})
	sent := 2*maxRecords/1000*1000 + 1 // and the session that existed before
	if err != nil || uint64(shown)+last[0] != uint64(sent) || last[0] == 0 {
		t.Errorf("%v: shown %d, missed %d of %d", err, shown, last[0], sent)
	}
}
