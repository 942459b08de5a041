package hub_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"switchyard/pdu"
	"switchyard/proxy/hub/hubtest"
)

const firstHubs = 3

// Three hubs share a tenant. Their peers connect, say things of all kinds, ask and leave. The hubs
// append what was said in pieces and read the log when they like; some are killed, some enter, and some are
// declared gone and enter again. Each peer receives, byte for byte, what a lone hub would have sent it.
// The user tables are equal, and each hub's counts add up.
func TestSharedTenantIsAsOneHub(t *testing.T) { sharedTenants(t, 4) }

// sharedTenants tests one shared tenant for each seed below seeds.
func sharedTenants(t *testing.T, seeds uint64) {
	for seed := range seeds {
		s := newSharing(t, rand.New(rand.NewPCG(seed, 21)), firstHubs)
		for range 800 {
			s.step(seed%3 > 0)
		}
		s.end()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// step does one thing somewhere.
func (s *sharing) step(hubsChange bool) {
	m := s.hubs[s.rnd.IntN(len(s.hubs))]
	if m.ended {
		return
	}
	switch n := s.rnd.IntN(100); {
	case n < 25:
		m.append(1 + s.rnd.IntN(4))
	case n < 50:
		m.readOn(1 + s.rnd.IntN(6))
	case m.lives == nil:
	case n < 52 && len(s.peers) < 30:
		m.connect()
	case n < 90:
		if w := s.peer(m); w != nil {
			w.step(n)
		}
	case !hubsChange || s.rnd.IntN(3) > 0:
	case n == 90 && len(s.hubs) < 6:
		s.enter()
	case n == 91 && s.living() > 2 && m.number > 1:
		m.kill()
	case n == 92:
		s.log = append(s.log, &entry{hub: m.number, life: m.life, what: gone})
	}
}

// peer returns one of the hub's peers that may still say something.
func (s *sharing) peer(m *member) *sharedPeer {
	var all []*sharedPeer
	for _, w := range s.peers {
		if w.at == m && !w.left && w.back == nil {
			all = append(all, w)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[s.rnd.IntN(len(all))]
}

func (w *sharedPeer) step(n int) {
	s := w.at.all
	switch {
	case n < 53:
		w.leave(s.rnd.IntN(2) > 0)
	case n < 62:
		w.ReadSome(s.rnd.IntN(1<<16), s.rnd.IntN(1<<16))
	default:
		w.handle(s.somePDUs())
	}
}

func (s *sharing) somePDUs() (pdus [][]byte) {
	for range 1 + s.rnd.IntN(5) {
		p := (&pair{choose: s.rnd.IntN}).someone()
		if pdus = append(pdus, p); pdu.ParseHeader(p).Command == pdu.CID_OTHER_ROLE_SET { // a role counts for the next batch
			break
		}
	}
	return pdus
}

func (s *sharing) living() (n int) {
	for _, m := range s.hubs {
		if !m.ended {
			n++
		}
	}
	return n
}

// end lets all hubs come to the end of the log, and compares.
func (s *sharing) end() {
	for before := -1; before != len(s.log); {
		before = len(s.log)
		for range len(s.hubs) { // one may wait for what another one exports
			for _, m := range s.hubs {
				if !m.ended {
					m.append(len(m.queue))
					m.readOn(len(s.log))
				}
			}
		}
	}
	l := s.replay()
	for _, w := range s.peers {
		if !w.at.ended {
			w.Read()
		}
		l.freeze(w)
		if !bytes.Equal(w.Got, l.got[w]) {
			s.t.Fatalf("session %d received %d bytes, of a lone hub %d:\n%s\n%s", w.Session(), len(w.Got), len(l.got[w]), dump(w.Got), dump(l.got[w]))
		}
	}
	for _, m := range s.hubs {
		if !m.ended {
			m.check(l.hub.TableSum())
		}
	}
}

func (m *member) check(sum uint64) {
	t := m.all.t
	if m.TableSum() != sum {
		t.Errorf("hub %d: the table has the sum %#x, that of a lone hub %#x", m.number, m.TableSum(), sum)
	}
	c := hubtest.Conserved(t, m.Hub)
	if bytes := m.UnderwayBytes(); bytes+c.Underway != 0 || len(m.underway) > 0 {
		t.Errorf("hub %d: %d PDUs, %d bytes are under way", m.number, c.Underway, bytes)
	}
	var delivered, received uint64
	for _, w := range m.all.peers {
		if w.at == m {
			delivered += wholePDUs(w.Got)
			received += w.said
		}
	}
	if c.Delivered != delivered || c.Pending != 0 || c.Received != received {
		t.Errorf("hub %d: %d PDUs delivered, %d pending, %d received; want %d, none, %d", m.number, c.Delivered, c.Pending, c.Received, delivered, received)
	}
}
