package hub_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"switchyard/pdu"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
	"switchyard/proxy/order"
)

// A sequencer is an order that hubs use at the same time. Each reads it in a goroutine of its own.
type sequencer struct {
	mu      sync.Mutex // guards records
	records []*order.Record
}

type sequencerEnd struct {
	*sequencer
	hub uint16
}

func (s sequencerEnd) Say(r *order.Record) {
	one := *r
	one.Hub, one.Number = s.hub, 1
	parsed, err := order.Parse(one.Append(nil))
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, &parsed)
}

func (s *sequencer) at(i int) *order.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i < len(s.records) {
		return s.records[i]
	}
	return nil
}

// At three hubs, peers send, ask, join and leave, policies change, and each hub applies the order by a
// goroutine of its own. All peers that only listen receive the same, and the counts add up.
func TestSharedHammer(t *testing.T) {
	const hubs, senders, each = 3, 2, 600
	active := policytest.Active(roleRules{commonRules()})
	all := new(sequencer)
	var stop, over atomic.Bool
	var applying, talking, reading sync.WaitGroup
	var shared []*Hub
	var listeners []*hubtest.Peer
	for n := range hubs {
		h := New(active, 1<<40)
		h.SetOrder(sequencerEnd{all, uint16(n + 1)}, uint16(n+1))
		shared = append(shared, h)
		listener := hubtest.Join(h)
		listeners = append(listeners, listener)
		reading.Go(func() {
			for last := false; !last; runtime.Gosched() {
				last = over.Load()
				listener.Read()
			}
		})
		applying.Go(func() {
			for i := 0; ; {
				last := stop.Load()
				r := all.at(i)
				if r == nil && last {
					return
				}
				if r == nil {
					runtime.Gosched()
					continue
				}
				h.Apply(r)
				i++
			}
		})
		for m := range senders {
			talking.Go(func() { sharedSender(t, h, byte(senders*n+m), each) })
		}
	}
	talking.Go(func() {
		for range 100 {
			active.Install(policytest.Generation(roleRules{commonRules()}))
			runtime.Gosched()
		}
	})
	talking.Wait()
	stop.Store(true)
	applying.Wait()
	over.Store(true)
	reading.Wait()

	for i, h := range shared {
		if !bytes.Equal(listeners[i].Got, listeners[0].Got) {
			t.Errorf("the listener of hub %d received %d bytes that are not the %d of the first one", i+1, len(listeners[i].Got), len(listeners[0].Got))
		}
		if c := hubtest.Conserved(t, h); c.Received != senders*each*3 || c.Underway != 0 || h.TableSum() != shared[0].TableSum() || h.Users() != 0 {
			t.Errorf("hub %d: %+v, %d users", i+1, c, h.Users())
		}
	}
	if err := inOrder(listeners[0].Got, hubs*senders, each); err != nil {
		t.Error(err)
	}
}

// sharedSender sends that many numbered PDUs, in sessions that end after some. It announces a user and
// asks for it in between.
func sharedSender(t *testing.T, h *Hub, sender byte, each int) {
	ask := pdu.Append(nil, 2, pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, 3, []byte{8, 1, 0x10, sender})
	for n := 0; n < each; {
		p := hubtest.Join(h)
		for range 50 {
			b := binary.BigEndian.AppendUint32([]byte{sender}, uint32(n))
			p.Send(t, pdu.Append(nil, pdu.SID_MSG, others, 0, b), online(uint32(sender)), ask)
			p.Read()
			n++
		}
		if back := h.LeaveOrdered(p.Seat); n%100 == 0 {
			<-back
		}
		p.Leave(PeerClosed)
	}
}

// inOrder returns an error if the numbers of a sender do not follow each other.
func inOrder(got []byte, senders, each int) error {
	next := make([]uint32, senders)
	for len(got) > 0 {
		var p []byte
		if p, got = CutPDU(got); pdu.ParseHeader(p).Command != others {
			continue
		}
		sender, n := p[pdu.HeaderLen], binary.BigEndian.Uint32(p[pdu.HeaderLen+1:])
		if n != next[sender] {
			return fmt.Errorf("sender %d: number %d follows %d", sender, n, int(next[sender])-1)
		}
		next[sender]++
	}
	for sender, n := range next {
		if n != uint32(each) {
			return fmt.Errorf("sender %d: %d of %d PDUs came", sender, n, each)
		}
	}
	return nil
}
