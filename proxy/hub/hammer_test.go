package hub_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"switchyard/pdu"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

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

// Routing allocates nothing per PDU: judge, append, Due and Sent, for broadcasts,
// unicasts and answers.
func TestNoAllocationPerPDU(t *testing.T) {
	r := commonRules()
	r[pdu.CID_MSG_READ_ACK] = abi.Unicast | abi.ToUser<<16 | 2<<32
	h := newHub(r)
	a, b := hubtest.Join(h), hubtest.Join(h)
	b.Send(t, online(2))
	request := pdu.Append(nil, 2, pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, 0, []byte("\x08\x01\x10\x02"))
	var batch []byte
	for range 16 {
		batch = append(batch, message(others, 1, "some text of a message")...)
		batch = append(batch, message(pdu.CID_MSG_READ_ACK, 1, "\x08\x01")...)
		batch = append(batch, request...)
	}
	vec := make([][]byte, 0, 256)
	pass := func() {
		h.Handle(a.Seat, batch)
		a.Discard(vec, h.Head())
		b.Discard(vec, h.Head())
	}
	for range 2 * ChunkSize / len(batch) * 2 { // until all buffers have grown
		pass()
	}
	if got := testing.AllocsPerRun(200, pass); got > 0 {
		t.Errorf("%v allocations for %d PDUs, want none", got, 48)
	}
}

// A writer that looks only at Behind misses nothing of what another goroutine appends.
func TestBehindMissesNothing(t *testing.T) {
	h := newHub(commonRules())
	a, b := hubtest.Join(h), hubtest.Join(h)
	const n = 20000
	var done atomic.Bool
	var sayer sync.WaitGroup
	sayer.Go(func() {
		for i := range n {
			a.Send(t, message(others, uint16(i), ""))
		}
		done.Store(true)
	})
	for {
		last := done.Load()
		if b.Behind(h.Head()) {
			b.ReadSome(1<<20, 1<<20)
		} else if last {
			break
		}
	}
	sayer.Wait()
	if len(b.Got) != n*pdu.HeaderLen {
		t.Errorf("got %d bytes, want %d", len(b.Got), n*pdu.HeaderLen)
	}
}

func BenchmarkHandle(b *testing.B) {
	for _, peers := range []int{8, 64, 1000} {
		b.Run(fmt.Sprint(peers, "peers"), func(b *testing.B) { benchmarkHandle(b, peers) })
	}
}

// benchmarkHandle routes batches of 64 PDUs of 200 bytes to all peers.
func benchmarkHandle(b *testing.B, peers int) {
	h := newHub(commonRules())
	var all []*hubtest.Peer
	for range peers {
		all = append(all, hubtest.Join(h))
	}
	batch := bytes.Repeat(message(others, 1, string(make([]byte, 184))), 64)
	benchmarkBatches(b, h, all, batch)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*64*(peers-1)), "ns/delivery")
}

// benchmarkBatches routes the batch of the first peer again and again, and discards what the peers
// receive.
func benchmarkBatches(b *testing.B, h *Hub, all []*hubtest.Peer, batch []byte) {
	vec := make([][]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		h.Handle(all[0].Seat, batch)
		head := h.Head()
		for _, g := range all {
			g.Discard(vec, head)
		}
	}
}
