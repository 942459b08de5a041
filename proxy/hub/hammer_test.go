package hub_test

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"switchyard/pdu"
	"switchyard/policy/abi"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

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
