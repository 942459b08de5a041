package hub

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// writeAll is a writer of the tests: it takes what is due until stop is closed and
// nothing is due any more, and returns it.
func (g *guest) writeAll(stop <-chan struct{}, ready chan<- struct{}) {
	vec := make([][]byte, 0, 16)
	close(ready)
	for stopped := false; ; {
		due := g.Due(vec, g.hub.Head(), 100_000)
		n := 0
		for _, piece := range due {
			g.got = append(g.got, piece...)
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
			stopped = true // once more, for what came in between
		default:
		}
	}
}

// Many say things while others write, join, leave and swap policies: all that stay
// see the same order, nothing is missing or twice, and the counts add up.
func TestHammer(t *testing.T) {
	const senders, readers, each = 4, 3, 2000
	j := judge(commonRules())
	h := New(j, 1<<40)
	stop := make(chan struct{})
	var writers, sayers, rest sync.WaitGroup

	var stay []*guest
	for range readers {
		g := join(h)
		stay = append(stay, g)
		ready := make(chan struct{})
		writers.Go(func() { g.writeAll(stop, ready) })
		<-ready
	}
	for i := range senders {
		g := join(h)
		ready := make(chan struct{})
		writers.Go(func() { g.writeAll(stop, ready) })
		<-ready
		sayers.Go(func() {
			var batch []byte
			for n := range each {
				b := binary.BigEndian.AppendUint32([]byte{byte(i)}, uint32(n))
				if batch = append(batch, pdu.Append(nil, pdu.SID_MSG, others, 0, b)...); n%7 == 6 {
					g.say(t, batch)
					batch = batch[:0]
				}
			}
			g.say(t, batch)
		})
	}
	rest.Go(func() { // comes and goes
		for range 300 {
			g := join(h)
			g.say(t, online(1, 2, 3), message(pdu.CID_OTHER_HEARTBEAT, 0, ""))
			g.readSome(1000, 500)
			h.Leave(g.Seat)
			g.Release(PeerClosed)
		}
	})
	rest.Go(func() {
		for range 300 {
			j.Install(policy.NewGeneration("next", "", commonRules()))
		}
	})
	sayers.Wait()
	rest.Wait()
	close(stop)
	writers.Wait()

	first := stay[0].got
	if want := senders * each * (pdu.HeaderLen + 5); len(first) != want {
		t.Errorf("the first reader got %d bytes, want %d", len(first), want)
	}
	for i, g := range stay[1:] {
		if !bytes.Equal(g.got, first) {
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
	c := h.Counts()
	var fates uint64
	for _, n := range c.Actions {
		fates += n
	}
	if c.Received != fates || c.Received != senders*each+600 {
		t.Errorf("received %d, accounted for %d: %+v", c.Received, fates, c)
	}
	if c.Pending != 0 || c.Due != c.Delivered+c.Discarded[PeerClosed] {
		t.Errorf("copies do not add up: %+v", c)
	}
}

// The path of a PDU allocates nothing: judged, appended, due, sent; broadcast,
// unicast and answered.
func TestNoAllocationPerPDU(t *testing.T) {
	r := commonRules()
	r[pdu.CID_MSG_READ_ACK] = abi.Unicast | abi.ToUser<<16 | 2<<32
	h := New(judge(r), farBehind)
	a, b := join(h), join(h)
	b.say(t, online(2))
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
		for _, g := range []*guest{a, b} {
			n := 0
			for _, piece := range g.Due(vec, h.Head(), 1<<20) {
				n += len(piece)
			}
			g.Sent(n)
		}
	}
	for range 2 * chunkSize / len(batch) * 2 { // let everything reach its size
		pass()
	}
	if got := testing.AllocsPerRun(200, pass); got > 0 {
		t.Errorf("%v allocations for %d PDUs, want none", got, 48)
	}
}

// An appender and a writer that is told only by Behind: it never misses anything.
func TestBehindMissesNothing(t *testing.T) {
	h := New(judge(commonRules()), farBehind)
	a, b := join(h), join(h)
	const n = 20000
	var said atomic.Bool
	var sayer sync.WaitGroup
	sayer.Go(func() {
		for i := range n {
			a.say(t, message(others, uint16(i), ""))
		}
		said.Store(true)
	})
	for {
		last := said.Load()
		if b.Behind(h.Head()) {
			b.readSome(1<<20, 1<<20)
		} else if last {
			break
		}
	}
	sayer.Wait()
	if len(b.got) != n*pdu.HeaderLen {
		t.Errorf("got %d bytes, want %d", len(b.got), n*pdu.HeaderLen)
	}
}

func BenchmarkHandle(b *testing.B) {
	for _, peers := range []int{8, 64, 1000} {
		b.Run(fmt.Sprint(peers, "peers"), func(b *testing.B) { benchmarkHandle(b, peers) })
	}
}

// benchmarkHandle judges, appends and makes due to all peers batches of 64 PDUs of
// 200 bytes.
func benchmarkHandle(b *testing.B, peers int) {
	h := New(judge(commonRules()), farBehind)
	var all []*guest
	for range peers {
		all = append(all, join(h))
	}
	batch := bytes.Repeat(message(others, 1, string(make([]byte, 184))), 64)
	vec := make([][]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		h.Handle(all[0].Seat, batch)
		head := h.Head()
		for _, g := range all {
			n := 0
			for _, piece := range g.Due(vec, head, 1<<20) {
				n += len(piece)
			}
			g.Sent(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*64*(peers-1)), "ns/delivery")
}
