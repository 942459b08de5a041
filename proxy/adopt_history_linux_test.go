//go:build full || race

package proxy

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
)

// The same random history happens to two lines of tenants, of which only the second one hands
// over. Peers come and go, announce users, ask for them, and send PDUs that arrive in parts. In
// the end all peers have received the same bytes, and the counts are equal.
func TestHistoriesAcrossHandovers(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		h := newHistories(t)
		for range 120 {
			h.step(rnd)
		}
		h.end(rnd)
	}
}

// histories are what happens to the peers of both lines.
type histories struct {
	t     *testing.T
	lines [2]*line
	peers []*twoClients
	sent  uint64 // whole PDUs
	begun int    // peers that have sent anything
	ended int    // of them
}

// twoClients are one peer, in each line.
type twoClients struct {
	conns  [2]*net.TCPConn
	part   []byte // of a PDU, that was sent
	unsent []byte // the rest of that PDU
	begun  bool
}

func newHistories(t *testing.T) *histories {
	rules := testRules()
	rules[pdu.CID_OTHER_USER_STATUS_UPDATE] = abi.Handle | abi.UserStatusUpdate<<32
	rules[pdu.CID_OTHER_ROLE_SET] = abi.Handle | abi.RoleSet<<32
	rules[pdu.CID_MSG_UNREAD_CNT_REQUEST] = abi.Unicast | abi.ToMaster<<16
	rules[pdu.CID_MSG_TIME_REQUEST] = abi.Unicast | abi.ToFields<<16 | 6<<32 | abi.ElseBroadcast
	h := &histories{t: t}
	for i := range h.lines {
		h.lines[i] = startLine(&line{t: t, limits: patient(testLimits()), policy: func() *policy.Active { return policytest.Active(rules) }})
	}
	h.dial()
	h.dial()
	return h
}

func (h *histories) step(rnd *rand.Rand) {
	at := rnd.IntN(len(h.peers))
	p := h.peers[at]
	switch n := rnd.IntN(12); {
	case n == 0 && len(h.peers) < 8:
		h.dial()
	case n == 1 && len(h.peers) > 2 && p.begun:
		h.peers = append(h.peers[:at:at], h.peers[at+1:]...)
		h.close(p)
	case n < 4:
		h.lines[1].handOver()
	default:
		h.say(p, rnd)
	}
}

func (h *histories) dial() {
	p := new(twoClients)
	for i, l := range h.lines {
		conn, err := net.Dial("tcp", l.addr)
		if err != nil {
			h.t.Fatal(err)
		}
		h.t.Cleanup(func() { conn.Close() })
		p.conns[i] = conn.(*net.TCPConn)
	}
	h.peers = append(h.peers, p)
	h.await("the seat", func(t *Tenant) bool { return t.Hub().Counts().Sessions == len(h.peers) })
}

// say sends PDUs, of which the last one may be cut, and waits until the hubs have handled them.
func (h *histories) say(p *twoClients, rnd *rand.Rand) {
	all := p.unsent
	n := 1 + rnd.IntN(3)
	for range n {
		all = append(all, anyPDU(rnd)...)
	}
	cut := len(all)
	if rnd.IntN(2) == 0 {
		cut = 1 + rnd.IntN(len(all))
	}
	p.part = append(p.part, all[:cut]...)
	whole, _ := pdu.Whole(p.part, 1<<20)
	for rest := p.part[:whole]; len(rest) > 0; rest = rest[pdu.ParseHeader(rest).Length:] {
		h.sent++
	}
	p.part = p.part[whole:]
	for _, conn := range p.conns {
		conn.SetWriteDeadline(time.Now().Add(generous))
		if _, err := conn.Write(all[:cut]); err != nil {
			h.t.Fatal(err)
		}
	}
	p.unsent = bytes.Clone(all[cut:])
	if !p.begun {
		p.begun, h.begun = true, h.begun+1
	}
	h.await("what was sent", func(t *Tenant) bool {
		c := t.Hub().Counts()
		return c.Received == h.sent && c.Joined >= uint64(h.begun) // silent peers join after beginsAfter
	})
}

// close ends the peer's own sending, and compares all that it has received.
func (h *histories) close(p *twoClients) {
	var got [2][]byte
	for i, conn := range p.conns {
		conn.CloseWrite()
		conn.SetReadDeadline(time.Now().Add(generous))
		var err error
		if got[i], err = io.ReadAll(conn); err != nil {
			h.t.Fatal(err)
		}
	}
	if !bytes.Equal(got[0], got[1]) {
		h.t.Fatalf("a peer got %d bytes, and %d others across handovers", len(got[0]), len(got[1]))
	}
	h.ended++
	h.await("the end", func(t *Tenant) bool {
		c := t.Hub().Counts()
		return c.Sessions == len(h.peers) && len(*t.sessions.Load()) == len(h.peers)
	})
}

// await waits until both tenants are as the history says.
func (h *histories) await(what string, ok func(*Tenant) bool) {
	h.t.Helper()
	for _, l := range h.lines {
		eventually(h.t, what, func() bool { return ok(l.now) })
	}
}

// end closes all peers, and compares the hubs.
func (h *histories) end(rnd *rand.Rand) {
	for len(h.peers) > 0 {
		p := h.peers[0]
		if !p.begun {
			h.say(p, rnd) // or it could join in one line only
		}
		h.peers = h.peers[1:]
		h.close(p)
	}
	var all [2]string
	for i, l := range h.lines {
		c := l.now.Hub().Counts()
		c.Lag, c.Lags = 0, 0
		users, entries := l.now.Hub().Presence()
		all[i] = fmt.Sprintf("%+v\n%+v\n%d %d", c, l.now.Hub().CommandStats(), users, entries)
	}
	if all[0] != all[1] {
		h.t.Errorf("the hubs differ:\n%s\n\n%s", all[0], all[1])
	}
}

// anyPDU returns a PDU of any kind.
func anyPDU(rnd *rand.Rand) []byte {
	user := func() byte { return byte(1 + rnd.IntN(9)) }
	switch rnd.IntN(9) {
	case 0:
		return pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ROLE_SET, 0, []byte{8, byte(rnd.IntN(2))})
	case 1:
		return pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ONLINE_USER_INFO, 0, []byte{0x0a, 6, 8, user(), 0x10, 1, 0x18, 1})
	case 2, 3:
		client := [...]byte{1, 2, 0x11, 0x12}[rnd.IntN(4)]
		return pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_USER_STATUS_UPDATE, 0, []byte{8, byte(1 + rnd.IntN(3)), 0x10, user(), 0x18, client})
	case 4:
		return pdu.Append(nil, pdu.SID_BUDDY_LIST, request, 3, []byte{8, 1, 0x10, user(), 0x10, user()})
	case 5:
		return message(pdu.CID_MSG_UNREAD_CNT_REQUEST, 1, "for the masters")
	case 6:
		return message(pdu.CID_MSG_TIME_REQUEST, 1, string([]byte{0x10, user()}))
	case 7:
		return message(everyone, 2, string(make([]byte, rnd.IntN(100_000))))
	default:
		return message(others, 3, fmt.Sprint("text ", rnd.Uint32()))
	}
}
