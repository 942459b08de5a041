//go:build full || race

package proxy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/policytest"
	"switchyard/proxy/tenant"
)

// Peers talk to each other without a pause, in pieces that end anywhere in a PDU, while one
// tenant after the other takes over. Everybody receives all that the others say, once, in
// order, byte for byte, and the last tenant has counted everything.
func TestTrafficAcrossHandovers(t *testing.T) {
	t.Parallel()
	own := func(conn *net.TCPConn) net.Conn { return ownReader{conn} }
	paced := patient(testLimits())
	paced.Quota.Peer = tenant.Rates{BytesIn: 300_000}
	full := patient(testLimits())
	full.LogBytes = 1
	for name, l := range map[string]*line{
		"loop":           {limits: patient(testLimits())},
		"own goroutines": {limits: patient(testLimits()), wrap: own},
		"quota":          {limits: paced},
		"full log":       {limits: full},
		"slow policy":    {limits: patient(testLimits()), policy: func() *policy.Active { return policytest.Active(inspected()) }},
	} {
		t.Run(name, func(t *testing.T) {
			l.t = t
			each := 400
			if l.policy != nil {
				each = 40
			}
			talkAcrossHandovers(t, startLine(l), each, 12)
		})
	}
}

// The rest of a PDU that is half written moves, however long that is.
func TestLongPDUHalfWrittenMoves(t *testing.T) {
	t.Parallel()
	limits := patient(testLimits())
	limits.MaxPDU = 16 << 20
	l := newLine(t, limits)
	a, b := dial(t, l.addr), dial(t, l.addr)
	long, last := message(others, 1, string(make([]byte, 15<<20))), message(others, 2, "the last")
	go a.say(long)
	eventually(t, "a part is written", func() bool {
		c := l.now.Hub().Counts()
		return c.BytesOut > 0 && c.Pending == 1
	})
	if moving := l.handOver(); len(moving[0].Due)+len(moving[1].Due) <= mostDue {
		t.Error("there is not more due than may be due of whole PDUs")
	}
	a.say(last)
	b.expect(long, last)
}

func talkAcrossHandovers(t *testing.T, l *line, each, handovers int) {
	const peers = 6
	var conns []client
	for range peers {
		conns = append(conns, dial(t, l.addr))
	}
	var talking, listening sync.WaitGroup
	var received [peers][]byte
	for i, c := range conns {
		rnd := rand.New(rand.NewPCG(1, uint64(i)))
		talking.Go(func() { sayInPieces(c, rnd, said(i, each)) })
		listening.Go(func() { received[i] = c.readFor(len(said(0, each)) * (peers - 1)) })
	}
	for i := range handovers {
		handled := uint64(peers * each * i / handovers)
		eventually(t, "a part of the traffic", func() bool { return l.now.Hub().Counts().Received >= handled })
		l.handOver()
	}
	talking.Wait()
	listening.Wait()
	for i := range conns {
		if err := heardAll(received[i], i, peers, each); err != nil {
			t.Fatalf("peer %d: %v", i, err)
		}
	}
	c := l.now.Hub().Counts()
	copies := uint64(peers * each * (peers - 1))
	if c.Received != uint64(peers*(each+1)) || c.Due < copies+peers || c.Joined != peers || c.Sessions != peers || len(c.Discarded)+len(c.Closed) > 0 {
		t.Errorf("%+v", c)
	}
	eventually(t, "everything delivered", func() bool { c := l.now.Hub().Counts(); return c.Delivered == c.Due })
}

// said returns what a peer says: PDUs of several sizes with its number and theirs.
func said(peer, n int) (all []byte) {
	for i := range n {
		size := 4 + i*i%211
		if i%97 == 0 {
			size = 20_000
		}
		text := binary.BigEndian.AppendUint16([]byte{byte(peer)}, uint16(i))
		for len(text) < size {
			text = append(text, byte(len(text)*(i+peer)))
		}
		all = append(all, message(others, uint16(i), string(text))...)
	}
	return all
}

func sayInPieces(c client, rnd *rand.Rand, all []byte) {
	for len(all) > 0 {
		n := min(len(all), 1+rnd.IntN(1+rnd.IntN(3000)))
		if _, err := c.Write(all[:n]); err != nil {
			c.t.Errorf("write: %v", err)
			return
		}
		all = all[n:]
		if rnd.IntN(30) == 0 {
			time.Sleep(time.Duration(rnd.IntN(1000)) * time.Microsecond)
		}
	}
}

// readFor reads n bytes, besides heartbeats.
func (c client) readFor(n int) (all []byte) {
	c.SetReadDeadline(time.Now().Add(generous))
	r := pdu.NewReader(c, 1<<20)
	for len(all) < n {
		batch, err := r.ReadBatch()
		if err != nil {
			c.t.Errorf("after %d bytes of %d: %v", len(all), n, err)
			return all
		}
		for ; len(batch) > 0; batch = batch[pdu.ParseHeader(batch).Length:] {
			if h := pdu.ParseHeader(batch); h.Command != pdu.CID_OTHER_HEARTBEAT {
				all = append(all, batch[:h.Length]...)
			}
		}
	}
	return all
}

// heardAll checks that a peer has received all that the others have said.
func heardAll(received []byte, peer, peers, each int) error {
	of := make(map[byte][]byte)
	for len(received) > 0 {
		n := pdu.ParseHeader(received).Length
		from := received[pdu.HeaderLen]
		of[from] = append(of[from], received[:n]...)
		received = received[n:]
	}
	for from := range peers {
		if want := said(from, each); from != peer && !bytes.Equal(of[byte(from)], want) {
			return fmt.Errorf("got %d bytes of peer %d, which are not the %d that it said", len(of[byte(from)]), from, len(want))
		}
	}
	if len(of) != peers-1 {
		return fmt.Errorf("heard %d peers", len(of))
	}
	return nil
}
