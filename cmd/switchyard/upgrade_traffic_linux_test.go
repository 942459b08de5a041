//go:build full || race

package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// A stream is connections of which some send numbered PDUs, and all check that they receive those
// of the others whole, once and in order. A PDU is often written in two parts, so that upgrades
// find it half read, and some connections read slowly, so that they find some half written.
type stream struct {
	t       testing.TB
	peers   []*streamPeer
	senders int
	stop    chan struct{} // closed when senders have to stop
	sending sync.WaitGroup
	reading sync.WaitGroup
	over    atomic.Bool // connections may end
}

// A streamPeer is one of its connections.
type streamPeer struct {
	net.Conn
	sent    uint32        // numbers; its sender's
	next    []uint32      // the number expected of each sender; its reader's, until done
	last    atomic.Int64  // when something arrived last, in nanoseconds
	longest atomic.Int64  // the longest time without anything, in nanoseconds
	total   atomic.Uint64 // numbered PDUs that have arrived
}

// numbered is the length of the body of a numbered PDU, or more: sender and number.
const numbered = 8

// startStream connects so many peers, of which the first ones send a PDU every so often.
func startStream(p *process, peers, senders int, every time.Duration) *stream {
	p.t.Helper()
	tr := &stream{t: p.t, senders: senders, stop: make(chan struct{})}
	for range peers {
		c := p.dial()
		c.SetDeadline(time.Time{})
		tr.peers = append(tr.peers, &streamPeer{Conn: c.Conn, next: make([]uint32, senders)})
	}
	for i, c := range tr.peers {
		slow := time.Duration(0)
		if i%16 == 15 {
			slow = 5 * time.Millisecond
		}
		tr.reading.Go(func() { tr.readLoop(i, c, slow) })
	}
	for i, c := range tr.peers[:senders] {
		tr.sending.Go(func() { tr.sendLoop(i, c, every) })
	}
	p.t.Cleanup(tr.close)
	return tr
}

// sendLoop sends numbered PDUs.
func (tr *stream) sendLoop(sender int, c *streamPeer, every time.Duration) {
	random := rand.New(rand.NewPCG(uint64(sender), 1))
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-tr.stop:
			return
		}
		body := make([]byte, numbered+random.IntN(200))
		if random.IntN(50) == 0 {
			body = make([]byte, 32<<10)
		}
		binary.BigEndian.PutUint32(body, uint32(sender))
		binary.BigEndian.PutUint32(body[4:], c.sent)
		c.sent++
		p := pdutest.Raw(pdu.CID_MSG_DATA, 0, body)
		cut := random.IntN(len(p))
		for _, part := range [][]byte{p[:cut], p[cut:]} {
			if _, err := c.Write(part); err != nil {
				tr.t.Errorf("sender %d: %v", sender, err)
				return
			}
			if random.IntN(2) == 0 {
				time.Sleep(time.Duration(random.IntN(int(every)))) // so that the part arrives alone
			}
		}
	}
}

// readLoop checks what arrives.
func (tr *stream) readLoop(peer int, c *streamPeer, slow time.Duration) {
	c.last.Store(time.Now().UnixNano())
	r := bufio.NewReaderSize(c, 64<<10)
	for {
		p, err := readPDU(r)
		if tr.over.Load() {
			return
		}
		if err != nil {
			tr.t.Errorf("connection %d ended: %v", peer, err)
			return
		}
		now := time.Now().UnixNano()
		if gap := now - c.last.Swap(now); gap > c.longest.Load() {
			c.longest.Store(gap)
		}
		if err := c.check(p); err != nil {
			tr.t.Errorf("connection %d: %v", peer, err)
			return
		}
		if slow > 0 {
			time.Sleep(slow)
		}
	}
}

// check checks the number of a PDU, if it has one.
func (c *streamPeer) check(p []byte) error {
	if id := pdu.CommandID(binary.BigEndian.Uint16(p[10:])); id != pdu.CID_MSG_DATA {
		return nil
	}
	sender, number := binary.BigEndian.Uint32(p[16:]), binary.BigEndian.Uint32(p[20:])
	if int(sender) >= len(c.next) {
		return fmt.Errorf("a PDU of sender %d, which there is not", sender)
	}
	if want := c.next[sender]; number != want {
		return fmt.Errorf("number %d of sender %d, want %d", number, sender, want)
	}
	c.next[sender]++
	c.total.Add(1)
	return nil
}

// finish stops the senders, and waits until every connection has everything of the others.
func (tr *stream) finish() {
	tr.t.Helper()
	close(tr.stop)
	tr.sending.Wait()
	var sent uint64
	for _, c := range tr.peers[:tr.senders] {
		sent += uint64(c.sent)
	}
	for i, c := range tr.peers {
		want := sent
		if i < tr.senders {
			want -= uint64(c.sent)
		}
		eventually(tr.t, func() bool { return c.total.Load() == want || tr.t.Failed() }, func() string {
			return fmt.Sprintf("connection %d has %d PDUs of %d", i, c.total.Load(), want)
		})
	}
	if sent == 0 {
		tr.t.Error("nothing was sent")
	}
}

// close closes all connections.
func (tr *stream) close() {
	if tr.over.Swap(true) {
		return // closed already
	}
	select {
	case <-tr.stop:
	default:
		close(tr.stop)
	}
	for _, c := range tr.peers {
		c.Close()
	}
	tr.sending.Wait()
	tr.reading.Wait()
}
