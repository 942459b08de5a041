package cases

import (
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/hub"
)

// A Harness is a hub with peers that hold users, in which a policy is tried. One
// goroutine at a time may use it.
type Harness struct {
	hub    *hub.Hub
	active *policy.Active
	peers  []*testPeer
	now    int64 // the time, by which rate limits count

	logging Logging // the policy; nil if it does not keep what it logs
}

// A Logging is a policy that keeps what it logs.
type Logging interface {
	// TakeLines returns the lines since the last call.
	TakeLines() []string
}

// takeLines returns what the policy has logged since the last call.
func (h *Harness) takeLines() []string {
	if h.logging == nil {
		return nil
	}
	return h.logging.TakeLines()
}

// A testPeer is a peer of a harness. It reads its seat only when the harness asks.
type testPeer struct {
	name       string
	seat       *hub.Seat
	attributes uint64 // as a policy sees them: bits of policy/abi, but for groups
	groups     []policy.Group
}

func (p *testPeer) Noted(hub.Note)   {}
func (p *testPeer) Close(hub.Reason) {}

// An Outcome is what became of a PDU.
type Outcome struct {
	Logged  []string       // what the policy logged while it decided; see Logging
	Verdict policy.Verdict // the one that took effect
	Fault   *policy.Fault  // how the policy failed to decide, if it did
	Dropped hub.Reason     // why the PDU was dropped, if it was
	Copies  []Copy         // in the order of the peers
}

// A Copy is what one peer was sent, cut into PDUs.
type Copy struct {
	Peer string
	PDUs [][]byte
}

// NewHarness returns a harness with p in force among these peers. The caller closes p,
// after the harness. Peers announce their users and roles to a policy that lets them, and p comes into
// force afterwards: a case is about one PDU, whatever p would do with announcements.
func NewHarness(name, sha256 string, p policy.Policy, peers []Peer) *Harness {
	h := &Harness{active: policy.NewActive(policy.NewGeneration("setup", "", setupPolicy{}))}
	h.hub = hub.New(h.active, math.MaxInt64)
	for _, peer := range peers {
		tp := &testPeer{name: peer.Name, groups: peer.Groups}
		tp.seat = h.join(tp, peer.Session)
		tp.seat.SetMembership(&hub.Membership{Groups: peer.Groups})
		h.peers = append(h.peers, tp)
		h.prepare(tp, peer)
	}
	h.logging, _ = p.(Logging)
	h.active.Install(policy.NewGeneration(name, sha256, noClose{p}))
	return h
}

// join gives a peer its session number: the next one for 0.
func (h *Harness) join(tp *testPeer, session uint64) *hub.Seat {
	if session == 0 {
		return h.hub.Join(tp)
	}
	seat, err := h.hub.JoinAs(tp, session)
	if err != nil {
		panic(fmt.Sprintf("cases: session %d of peer %s: %v", session, tp.name, err)) // a bug of the caller
	}
	return seat
}

// prepare sends the PDUs by which the peer announces its users and its role.
func (h *Harness) prepare(tp *testPeer, peer Peer) {
	info := &pb.IMOnlineUserInfo{}
	for _, user := range peer.Users {
		info.UserStatList = append(info.UserStatList, &pb.ServerUserStat{UserId: &user,
			Status: pb.UserStatType_USER_STATUS_ONLINE.Enum(), ClientType: pb.ClientType_CLIENT_TYPE_WINDOWS.Enum()})
	}
	role := &pb.IMRoleSet{Master: proto.Uint32(0)}
	if peer.Master {
		role.Master = proto.Uint32(1)
		tp.attributes |= abi.AttributeMaster
	}
	for command, m := range map[pdu.CommandID]proto.Message{pdu.CID_OTHER_ONLINE_USER_INFO: info, pdu.CID_OTHER_ROLE_SET: role} {
		body, err := proto.Marshal(m)
		if err == nil {
			err = h.hub.Handle(tp.seat, pdu.Append(nil, pdu.SID_OTHER, command, 0, body))
		}
		if err != nil {
			panic(fmt.Sprintf("cases: prepare peer %s: %v", peer.Name, err)) // a bug of this package
		}
	}
}

// Session returns the session number of a peer.
func (h *Harness) Session(peer string) uint64 { return h.peer(peer).seat.Session() }

// Attributes returns what a policy sees of a peer: attribute bits of policy/abi.
func (h *Harness) Attributes(peer string) uint64 { return h.peer(peer).attributes }

// Groups returns the groups in which a peer is.
func (h *Harness) Groups(peer string) []policy.Group { return h.peer(peer).groups }

// peer finds a peer by its name. A name that is not there is a fault of the caller.
func (h *Harness) peer(name string) *testPeer {
	for _, p := range h.peers {
		if p.name == name {
			return p
		}
	}
	panic("cases: there is no peer " + name) // Parse refuses such a case
}

// Send sends a whole PDU from a peer and returns what becomes of it. The policy decides
// twice, once for the Outcome and once for the hub. Both decisions are the same, as a
// policy has no state.
func (h *Harness) Send(from string, p []byte) Outcome {
	sender := h.peer(from)
	var o Outcome
	h.takeLines() // what it logged before
	g := h.active.Acquire()
	o.Verdict, o.Fault = g.Judge(p, sender.seat.Session(), sender.attributes, sender.groups...)
	g.Release()
	o.Logged = h.takeLines()
	before := h.hub.Counts().Dropped
	// The verdict close makes Handle return ErrClose.
	if _, err := h.hub.HandleTurn(sender.seat, p, hub.Unbounded(h.now)); err != nil && !errors.Is(err, hub.ErrClose) {
		panic(fmt.Sprintf("cases: handle a PDU: %v", err))
	}
	for reason, n := range h.hub.Counts().Dropped {
		if n > before[reason] {
			o.Dropped = reason
		}
	}
	for _, peer := range h.peers {
		if got := h.take(peer); len(got) > 0 {
			o.Copies = append(o.Copies, Copy{peer.name, got})
		}
	}
	return o
}

// Repeat sends a whole PDU n times at one time, and lets the time pass. Nobody sees what becomes of
// these PDUs.
func (h *Harness) Repeat(from string, p []byte, n int, wait time.Duration) {
	sender := h.peer(from)
	for range n {
		if _, err := h.hub.HandleTurn(sender.seat, p, hub.Unbounded(h.now)); err != nil {
			break // the policy closes the sender
		}
		for _, peer := range h.peers {
			h.take(peer)
		}
	}
	h.now += int64(wait)
}

// take reads everything that is due to a peer.
func (h *Harness) take(p *testPeer) (pdus [][]byte) {
	var stream []byte
	for {
		n := 0
		for _, piece := range p.seat.Due(make([][]byte, 0, 16), h.hub.Head(), math.MaxInt32) {
			stream = append(stream, piece...)
			n += len(piece)
		}
		if n == 0 {
			break
		}
		p.seat.Sent(n)
	}
	for len(stream) > 0 {
		n, err := pdu.Next(stream, math.MaxInt)
		if n == 0 || err != nil {
			panic(fmt.Sprintf("cases: a peer was sent %x: %v", stream, err))
		}
		pdus, stream = append(pdus, stream[:n:n]), stream[n:]
	}
	return pdus
}

// Close releases what the harness holds of the policy.
func (h *Harness) Close() { h.active.Close() }

// setupPolicy is in force while the peers announce their users and roles.
type setupPolicy struct{}

func (setupPolicy) Classify(_ pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	switch c {
	case pdu.CID_OTHER_ONLINE_USER_INFO:
		return abi.Handle | abi.OnlineUserInfo<<abi.ArgumentShift, nil
	case pdu.CID_OTHER_ROLE_SET:
		return abi.Handle | abi.RoleSet<<abi.ArgumentShift, nil
	}
	return abi.Drop, nil
}

func (setupPolicy) Inspect(v policy.Verdict, _ policy.Question) (policy.Verdict, error) {
	return v, nil
}
func (setupPolicy) Close() error { return nil }

// noClose keeps a policy open when the generation made of it ends.
type noClose struct{ policy.Policy }

func (noClose) Close() error { return nil }

func (n noClose) RateLimits() policy.RateLimits { return policy.RateLimitsOf(n.Policy) }
