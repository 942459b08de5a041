//go:build full || race

package hub_test

import (
	"bytes"
	"encoding/binary"
	"sync"
	"testing"

	"switchyard/pdu"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// Peers send while others are written to, join, leave and swap policies. All that stay
// see the same order, nothing is missing or doubled, and the counts add up.
func TestHammer(t *testing.T) {
	const senders, readers, each = 4, 3, 2000
	j := policytest.Active(roleRules{commonRules()})
	h := New(j, 1<<40)
	stop := make(chan struct{})
	var writers, sayers, rest sync.WaitGroup

	var stay []*hubtest.Peer
	for range readers {
		g := hubtest.Join(h)
		stay = append(stay, g)
		ready := make(chan struct{})
		writers.Go(func() { writeAll(g, stop, ready) })
		<-ready
	}
	for i := range senders {
		g := hubtest.Join(h)
		ready := make(chan struct{})
		writers.Go(func() { writeAll(g, stop, ready) })
		<-ready
		sayers.Go(func() {
			var batch []byte
			for n := range each {
				b := binary.BigEndian.AppendUint32([]byte{byte(i)}, uint32(n))
				if batch = append(batch, pdu.Append(nil, pdu.SID_MSG, others, 0, b)...); n%7 == 6 {
					g.Send(t, batch)
					batch = batch[:0]
				}
			}
			g.Send(t, batch)
		})
	}
	rest.Go(func() { // joins and leaves
		for range 300 {
			g := hubtest.Join(h)
			g.Send(t, online(1, 2, 3), message(pdu.CID_OTHER_HEARTBEAT, 0, ""))
			g.ReadSome(1000, 500)
			g.Leave(PeerClosed)
		}
	})
	rest.Go(func() {
		for range 300 {
			j.Install(policytest.Generation(commonRules()))
		}
	})
	sayers.Wait()
	rest.Wait()
	close(stop)
	writers.Wait()

	first := stay[0].Got
	if want := senders * each * (pdu.HeaderLen + 5); len(first) != want {
		t.Errorf("the first reader got %d bytes, want %d", len(first), want)
	}
	for i, g := range stay[1:] {
		if !bytes.Equal(g.Got, first) {
			t.Errorf("reader %d saw another order than the first", i+1)
		}
	}
	var next [senders]uint32
	for b := first; len(b) > 0; {
		p := b[:pdu.ParseHeader(b).Length]
		b = b[len(p):]
		sender, n := p[pdu.HeaderLen], binary.BigEndian.Uint32(p[pdu.HeaderLen+1:])
		if n != next[sender] {
			t.Fatalf("sender %d: number %d follows %d", sender, n, int(next[sender])-1)
		}
		next[sender]++
	}
	c := hubtest.Conserved(t, h)
	if c.Received != senders*each+600 || len(c.Dropped) > 0 || c.Pending != 0 {
		t.Errorf("counts: %+v", c)
	}
}

// writeAll plays g's writer: it takes what is due until stop is closed and nothing more
// is due.
func writeAll(g *hubtest.Peer, stop <-chan struct{}, ready chan<- struct{}) {
	vec := make([][]byte, 0, 16)
	close(ready)
	for stopped := false; ; {
		due := g.Due(vec, g.Hub.Head(), 100_000)
		n := 0
		for _, piece := range due {
			g.Got = append(g.Got, piece...)
			n += len(piece)
		}
		g.Sent(n)
		if n > 0 {
			continue
		}
		if stopped {
			return
		}
		select {
		case <-stop:
			stopped = true // one more pass, for what was appended in between
		default:
		}
	}
}
