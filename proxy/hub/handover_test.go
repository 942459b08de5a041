package hub_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/body"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// The same with a history that the fuzzer makes.
func FuzzHandover(f *testing.F) {
	for seed := range uint64(8) {
		script := make([]byte, 150)
		rnd := rand.New(rand.NewPCG(seed, 14))
		for i := range script {
			script[i] = byte(rnd.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		script = script[:min(len(script), 600)]
		p := newPair(t, func(n int) int {
			if len(script) == 0 {
				return 0
			}
			k := 0
			for most := n - 1; most > 0 && len(script) > 0; most >>= 8 {
				k, script = k<<8|int(script[0]), script[1:]
			}
			return k % n
		})
		for len(script) > 0 {
			p.step()
		}
		p.end()
	})
}

// handOver exports the second hub and imports it into a new one. Some seats do not move: at
// the first hub these leave at the same moment. unhandled are batches that were read and not
// handled; it returns what the new Readers hand out in place of them.
func (p *pair) handOver(unhandled map[*twins][]byte) (resumed map[*twins][]byte) {
	old := p.hubs[moving]
	moves := make(map[*Seat]bool)
	for _, w := range p.peers {
		stays := w.left || len(p.peers) > 2 && unhandled[w] == nil && p.choose(12) == 0
		moves[w.at[moving].Seat] = !stays
	}
	before := old.Counts()
	h := p.importInto(old, func(s *Seat) bool { return moves[s] })
	resumed = make(map[*twins][]byte)
	for _, w := range slices.Clone(p.peers) {
		if moves[w.at[moving].Seat] {
			resumed[w] = p.restore(h, w, unhandled[w])
			continue
		}
		if !w.left {
			p.hubs[0].Leave(w.at[0].Seat)
		}
		w.at[0].Release(Handover)
		p.peers = slices.DeleteFunc(p.peers, func(other *twins) bool { return other == w })
	}
	if after := old.Counts(); !reflect.DeepEqual(before, after) {
		p.t.Errorf("the export has changed the old hub:\n%+v\n%+v", before, after)
	}
	if err := h.Restored(); err != nil {
		p.t.Error(err)
	}
	p.hubs[moving] = h
	p.check()
	return resumed
}

// importInto returns a hub that continues from the state of old.
func (p *pair) importInto(old *Hub, move func(*Seat) bool) *Hub {
	var chunks [][]byte
	if err := old.ExportPresence(move, func(chunk []byte) error {
		chunks = append(chunks, bytes.Clone(chunk))
		return nil
	}); err != nil {
		p.t.Fatal(err)
	}
	h := p.newHub()
	if err := h.Import(sent(p.t, old.Export(move)), func() ([]byte, error) {
		chunk := chunks[0]
		chunks = chunks[1:]
		return chunk, nil
	}); err != nil {
		p.t.Fatal(err)
	}
	return h
}

// restore moves the peer to a seat of h.
func (p *pair) restore(h *Hub, w *twins, unhandled []byte) (batch []byte) {
	at := w.at[moving]
	state, due, ok := at.Export(1 << 30)
	if !ok {
		p.t.Fatalf("session %d cannot move", at.Session())
	}
	r := pdu.NewReader(new(feed), w.reads[moving].Max())
	batch = r.Resume(append(bytes.Clone(unhandled), w.reads[moving].Rest()...))
	w.reads[moving] = r
	moved := &hubtest.Peer{Hub: h, Got: at.Got}
	seat, err := h.Restore(moved, sent(p.t, state), due)
	if err != nil {
		p.t.Fatal(err)
	}
	moved.Seat, w.at[moving] = seat, moved
	return batch
}

// sent returns v after a journey as JSON.
func sent[T any](t *testing.T, v T) (again T) {
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &again)
	}
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// end lets all peers take everything and leave.
func (p *pair) end() {
	p.check()
	for _, w := range slices.Clone(p.peers) {
		for i, at := range w.at {
			at.Read()
			p.hubs[i].Leave(at.Seat)
		}
		p.release(w, PeerClosed)
	}
	p.check()
	for i, h := range p.hubs {
		if log, side := h.LastRefs(); log != 1 || side > 1 {
			p.t.Errorf("hub %d: the last chunks of the logs have %d and %d references", i, log, side)
		}
		if c := h.Counts(); c.Pending != 0 || c.Sessions != 0 {
			p.t.Errorf("hub %d: %d sessions and %d copies are left", i, c.Sessions, c.Pending)
		}
	}
}

// compare checks that both hubs have sent the peer the same.
func (p *pair) compare(w *twins) {
	p.t.Helper()
	if !bytes.Equal(w.at[0].Got, w.at[moving].Got) {
		p.t.Fatalf("session %d got %d bytes, and %d others from the hub that moved", w.at[0].Session(), len(w.at[0].Got), len(w.at[moving].Got))
	}
}

// check checks that the hubs tell the same about themselves, but for how far seats lag.
func (p *pair) check() {
	p.t.Helper()
	for _, w := range p.peers {
		p.compare(w)
		for user := range uint32(20) {
			if a, b := sorted(p.hubs[0].Holders(user)), sorted(p.hubs[moving].Holders(user)); !slices.Equal(a, b) {
				p.t.Errorf("user %d is held by %v and %v", user, a, b)
			}
		}
		if a, b := entries(p.hubs[0], w), entries(p.hubs[moving], w); !reflect.DeepEqual(a, b) {
			p.t.Errorf("session %d holds %v and %v", w.at[0].Session(), a, b)
		}
		if a, b := w.at[0].Out(), w.at[moving].Out(); a != b {
			p.t.Errorf("session %d has sent %d and %d bytes to others", w.at[0].Session(), a, b)
		}
	}
	var all [2]string
	for i, h := range p.hubs {
		c := hubtest.Conserved(p.t, h)
		c.Lag, c.Lags = 0, 0
		sessions := h.Sessions(nil)
		for i := range sessions {
			sessions[i].Lag = 0
		}
		slices.SortFunc(sessions, func(a, b Session) int { return cmp.Compare(a.Number, b.Number) })
		users, entries := h.Presence()
		all[i] = fmt.Sprintf("%+v\n%+v\n%+v\n%+v\n%d %d", c, h.CommandStats(), h.UnknownStats(), sessions, users, entries)
	}
	if all[0] != all[moving] {
		p.t.Fatalf("the hubs differ:\n%s\n\n%s", all[0], all[moving])
	}
}

func sorted(n []uint64) []uint64 { slices.Sort(n); return n }

// entries returns what would announce the users of the session elsewhere.
func entries(h *Hub, w *twins) map[uint32][]body.ServerUserStat {
	of := make(map[uint32][]body.ServerUserStat)
	held, _ := h.Held(w.at[0].Session(), -1, 1<<20, nil)
	for _, stat := range held {
		of[stat.User] = append(of[stat.User], stat)
	}
	return of
}
