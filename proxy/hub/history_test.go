package hub_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// A pair is two hubs with the same peers.
type pair struct {
	t      *testing.T
	choose func(n int) int // returns a number below n
	active *policy.Active
	hubs   [2]*Hub
	peers  []*twins
	shared [2][]byte // see pdu.Reader.ReadOnce
}

// The twins are one peer, at each of both hubs.
type twins struct {
	at     [2]*hubtest.Peer
	reads  [2]*pdu.Reader
	left   bool   // and not yet released
	unsent []byte // PDUs of which the peer has sent no byte or a part
}

// The first hub lives through everything.
const moving = 1

func handoverRules() policytest.Rules {
	r := commonRules()
	for session := range pdu.CommandID(8) {
		r[0x0600+session] = abi.Unicast | abi.ToSession<<16 | policy.Verdict(session)<<32
	}
	r[pdu.CID_MSG_READ_ACK] = abi.Drop | abi.InspectHeader
	r[pdu.CID_MSG_UNREAD_CNT_REQUEST] = abi.Unicast | abi.ToMaster<<16
	r[pdu.CID_MSG_TIME_REQUEST] = abi.Unicast | abi.ToFields<<16 | 6<<32 | abi.ElseBroadcast
	r[0x7770] = abi.Consume
	return r
}

func newPair(t *testing.T, choose func(int) int) *pair {
	p := &pair{t: t, choose: choose, active: policytest.Active(roleRules{handoverRules()})}
	for i := range p.hubs {
		p.hubs[i], p.shared[i] = p.newHub(), make([]byte, 2*ChunkSize)
	}
	p.join()
	return p
}

func (p *pair) newHub() *Hub {
	h := New(p.active, 1<<40)
	h.SetPresenceLimits(60, 40)
	return h
}

func (p *pair) step() {
	if len(p.peers) == 0 {
		p.join()
	}
	w := p.peers[p.choose(len(p.peers))]
	switch n := p.choose(32); {
	case n == 0 && len(p.peers) < 8:
		p.join()
	case n == 1 && !w.left && len(p.peers) > 1:
		w.left = true
		for i, h := range p.hubs {
			h.Leave(w.at[i].Seat)
		}
	case n == 2 && w.left && len(p.peers) > 1:
		p.release(w, PeerClosed)
	case n == 3 && !w.left:
		for i, h := range p.hubs {
			h.Send(w.at[i].Seat, message(others, 0, "of the hub's own"))
		}
	case n == 4:
		p.pause()
	case n == 5:
		p.handOver(nil)
	case n < 14:
		p.write(w)
	case !w.left:
		p.read(w)
	}
}

func (p *pair) join() {
	w := new(twins)
	begins := p.choose(4) > 0
	for i, h := range p.hubs {
		w.at[i] = &hubtest.Peer{Hub: h}
		w.at[i].Seat = h.Connect(w.at[i], nil)
		if begins {
			w.at[i].Begin()
		}
		w.reads[i] = pdu.NewReader(new(feed), 1<<20)
	}
	p.peers = append(p.peers, w)
}

// release checks what the peer was sent before it is forgotten.
func (p *pair) release(w *twins, why Reason) {
	for _, at := range w.at {
		at.Release(why)
	}
	p.compare(w)
	p.peers = slices.DeleteFunc(p.peers, func(other *twins) bool { return other == w })
}

func (p *pair) pause() {
	for _, h := range p.hubs {
		h.PauseBegins(LogFull)
		h.PauseEnded(LogFull, time.Millisecond)
	}
}

// write sends the peer the same number of bytes from both hubs, in pieces that may end
// within a PDU.
func (p *pair) write(w *twins) {
	n := p.choose(200)
	if p.choose(20) == 0 {
		n = p.choose(3 * ChunkSize)
	}
	for _, at := range w.at {
		for left := n; left > 0; {
			k := at.ReadSome(1<<20, left)
			if k == 0 {
				break
			}
			left -= k
		}
	}
}

// read makes the hubs read a part of what the peer sends, and handle it. The second hub may
// be exported in between: then it has read PDUs that it has not handled.
func (p *pair) read(w *twins) {
	if len(w.unsent) == 0 {
		for range 1 + p.choose(4) {
			w.unsent = append(w.unsent, p.someone()...)
		}
	}
	n := 1 + p.choose(len(w.unsent))
	between := p.choose(16) == 0
	var batches [2][]byte
	for i := range p.hubs {
		w.at[i].Begin()
		batches[i] = w.receive(i, w.unsent[:n], p.shared[i])
	}
	w.unsent = w.unsent[n:]
	if between {
		batches[moving] = p.handOver(map[*twins][]byte{w: batches[moving]})[w]
	}
	if !bytes.Equal(batches[0], batches[moving]) {
		p.t.Fatalf("read batches of %d and %d bytes that differ", len(batches[0]), len(batches[moving]))
	}
	refused := len(batches[0]) > 0 && p.choose(20) == 0
	for i, h := range p.hubs {
		switch {
		case refused:
			h.Refuse(w.at[i].Seat, batches[i], OverQuotaPDUs)
		case len(batches[i]) > 0:
			if err := h.Handle(w.at[i].Seat, batches[i]); err != nil {
				p.t.Fatal(err)
			}
		}
	}
}

func (w *twins) receive(i int, b, shared []byte) []byte {
	w.reads[i] = resume(w.reads[i], b)
	batch, err := w.reads[i].ReadOnce(shared)
	if err != nil && err != io.ErrNoProgress {
		panic(err)
	}
	return batch
}

// resume returns a Reader that holds what r does, and then reads b.
func resume(r *pdu.Reader, b []byte) *pdu.Reader {
	next := pdu.NewReader(&feed{b}, r.Max())
	next.Resume(bytes.Clone(r.Rest()))
	return next
}

// A feed is a stream that has no end.
type feed struct{ rest []byte }

func (f *feed) Read(b []byte) (int, error) {
	n := copy(b, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// someone returns a PDU of any kind.
func (p *pair) someone() []byte {
	user := func() byte { return byte(p.choose(20)) }
	switch p.choose(16) {
	case 0:
		return pdu.Append(nil, 7, pdu.CID_OTHER_ROLE_SET, 0, []byte{8, byte(p.choose(2))})
	case 1:
		return online(uint32(user()), uint32(user()), uint32(user()))
	case 2, 3:
		client := [...]byte{1, 2, 0x11, 0x12}[p.choose(4)]
		return pdu.Append(nil, 7, pdu.CID_OTHER_USER_STATUS_UPDATE, 0, []byte{8, byte(1 + p.choose(4)), 0x10, user(), 0x18, client})
	case 4:
		return pdu.Append(nil, 2, pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, 3, []byte{8, 1, 0x10, user(), 0x10, user()})
	case 5:
		return message(pdu.CID_MSG_READ_ACK, 0, "for all if the sender is master")
	case 6:
		return message(pdu.CID_MSG_UNREAD_CNT_REQUEST, 0, "for the masters")
	case 7:
		return message(pdu.CID_MSG_TIME_REQUEST, 0, string([]byte{0x10, user()}))
	case 8:
		return message(0x7700+pdu.CommandID(p.choose(256)), 0, "unknown")
	case 9:
		return message(0x0600+pdu.CommandID(p.choose(8)), 0, "for one session")
	case 10:
		return pdu.Append(nil, 7, pdu.CID_OTHER_USER_STATUS_UPDATE, 0, []byte{8})
	case 11:
		size := p.choose(1 << 10)
		if p.choose(30) == 0 {
			size = p.choose(2 * ChunkSize)
		}
		return message(everyone, 0, string(make([]byte, size)))
	default:
		return message(others, uint16(p.choose(1<<16)), fmt.Sprint("text ", p.choose(1<<16)))
	}
}
