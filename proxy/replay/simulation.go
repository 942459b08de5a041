package replay

import (
	"errors"
	"fmt"
	"slices"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/capture"
	"switchyard/proxy/hub"
)

const (
	// farBehind is how far a peer may be behind; they are never behind for long.
	farBehind = 1 << 40
	// highestSession is the largest number that a session gets as recorded; a hub
	// counts on from there.
	highestSession = 1 << 62
	// maxPeers bounds the memory for a capture in which many join.
	maxPeers = 1 << 16
)

// A simulation is a hub with the policy and with peers that only count.
type simulation struct {
	policy *watched
	judge  *policy.Active
	hub    *hub.Hub
	result *Result
	peers  map[uint64]*peer // by the session's number in the capture
	there  []*peer          // those that take part, in the order in which they joined
	vec    [][]byte

	// What the capture leaves open.
	presenceUnsure bool
	rolesUnsure    bool // of every peer
	someRoleUnsure bool

	from *peer // that said the PDU which was taken last
	last fate  // of that PDU
}

// A fate is what became of a PDU.
type fate struct {
	decided bool // the verdict is known
	routed  bool // what was sent is known, too
	verdict policy.Verdict
	fault   policy.FaultKind
	dropped hub.Reason
	copies  uint64
	bytes   uint64
}

func newSimulation(p Policy) *simulation {
	s := &simulation{policy: &watched{Policy: p.Policy}, peers: make(map[uint64]*peer), vec: make([][]byte, 0, 64)}
	s.result = &Result{Policy: p.Name, SHA256: p.SHA256, Faults: make(map[policy.FaultKind]uint64), commands: make(map[ids]*Command), peers: make(map[uint64]*Peer)}
	s.judge = policy.NewActive(policy.NewGeneration(p.Name, p.SHA256, s.policy))
	s.policy.reset()
	s.hub = hub.New(s.judge, farBehind)
	s.hub.Attach(s)
	return s
}

func (s *simulation) close() { s.judge.Close() }

// begin forgets the peers of the capture before, if there was one.
func (s *simulation) begin(t *capture.Tenant) {
	for session := range s.peers {
		s.leave(session)
	}
	s.presenceUnsure = !t.Bodies || !t.Keeps(pdu.CID_OTHER_ONLINE_USER_INFO) || !t.Keeps(pdu.CID_OTHER_USER_STATUS_UPDATE)
	s.rolesUnsure, s.someRoleUnsure = !t.Keeps(pdu.CID_OTHER_ROLE_SET), false
}

// take takes one record. p is the PDU, in its whole length.
func (s *simulation) take(rec *capture.Record, t *capture.Tenant, p []byte) error {
	switch {
	case rec.Kind == capture.Left:
		s.leave(rec.Session)
		return nil
	case rec.Kind == capture.Joined:
		s.leave(rec.Session)
	}
	from, err := s.peer(rec.Session)
	if err != nil {
		return err
	}
	switch {
	case rec.Kind == capture.Joined && rec.Master:
		s.known(from, roleSet)
	case rec.Kind == capture.Joined:
	case rec.Known && (rec.Redacted || !rec.Whole()):
		s.presenceUnsure = true
	case rec.Known:
		s.known(from, p)
	default:
		s.say(from, rec, t, p)
	}
	return nil
}

// roleSet is the PDU by which a peer declares itself master.
var roleSet = pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ROLE_SET, 0, []byte{1 << 3, 1})

// peer returns the peer of a session, which joins if it was not seen before.
func (s *simulation) peer(session uint64) (*peer, error) {
	if p := s.peers[session]; p != nil {
		return p, nil
	}
	if len(s.peers) == maxPeers {
		return nil, fmt.Errorf("more than %d peers at a time", maxPeers)
	}
	p := &peer{simulation: s, session: session}
	var err error
	if session <= highestSession {
		p.seat, err = s.hub.JoinAs(p, session)
	}
	if p.seat == nil || err != nil { // it was seen in the wrong order
		p.seat = s.hub.Join(p)
	}
	s.peers[session] = p
	s.there = append(s.there, p)
	return p, nil
}

// leave ends a session.
func (s *simulation) leave(session uint64) {
	if p := s.peers[session]; p != nil {
		delete(s.peers, session)
		s.part(p)
	}
}

// part takes a peer out of the hub, if it is there.
func (s *simulation) part(p *peer) {
	if !p.closed {
		p.closed = true
		s.there = slices.DeleteFunc(s.there, func(other *peer) bool { return other == p })
		s.hub.Leave(p.seat)
		p.seat.Release(hub.PeerClosed)
	}
}

// known has the hub know what it knew when the capture began. Nothing of it counts.
func (s *simulation) known(from *peer, p []byte) {
	if !from.closed {
		s.policy.clear()
		s.handle(from, p)
	}
}

// say has a peer say a PDU, and counts what becomes of it.
func (s *simulation) say(from *peer, rec *capture.Record, t *capture.Tenant, p []byte) {
	h := pdu.ParseHeader(p)
	c := s.result.command(ids{h.Service, h.Command})
	c.PDUs++
	c.Received += uint64(len(p))
	s.result.peer(rec.Session).Said++
	s.last = fate{}
	if from.closed {
		c.Undecided.add(senderClosed)
		return
	}
	s.policy.clear()
	why := s.foresee(from, rec, t, p)
	if why == "" {
		s.handle(from, p)
		s.last.decided, s.last.routed = true, true
	}
	switch {
	case why != "" && !s.last.decided:
		c.Undecided.add(why)
	case why != "":
		c.Unrouted.add(why)
	}
	s.count(c)
	if s.last.routed {
		s.countPeers()
	}
	if rec.Redacted && s.policy.sawBody {
		c.Redacted++
	}
	if s.last.decided && s.last.verdict.Action() == policy.Close {
		s.part(from)
	}
}

func (s *simulation) countPeers() {
	for _, p := range s.there {
		if p.copies > 0 {
			to := s.result.peer(p.session)
			to.Copies += p.copies
			to.Bytes += p.bytes
		}
	}
}

// count counts the fate of the PDU that was taken last.
func (s *simulation) count(c *Command) {
	if !s.last.decided {
		return
	}
	c.Verdicts.add(told(s.last.verdict, s.last.fault))
	c.Copies += s.last.copies
	c.Sent += s.last.bytes
	if s.last.dropped != "" {
		c.Dropped.add(string(s.last.dropped))
	}
	if s.last.fault != "" {
		c.Faults++
		s.result.Faults[s.last.fault]++
	}
}

// handle hands the hub a PDU, and takes in what is due from it. However often the
// policy failed, it is asked: what it says is wanted, and there is time.
func (s *simulation) handle(from *peer, p []byte) {
	s.hub.Forgive()
	s.from, s.last = from, fate{}
	err := s.hub.Handle(from.seat, p)
	head := s.hub.Head()
	for _, to := range s.there {
		to.copies, to.bytes = 0, 0
		if to.seat.Behind(head) {
			to.read(head)
		}
		s.last.copies += to.copies
		s.last.bytes += to.bytes
	}
	if err != nil && !errors.Is(err, hub.ErrClose) {
		panic(err) // the hub has no other
	}
}

// Present, Joined and Left are for other taps than this one.
func (s *simulation) Present(uint64, bool) {}
func (s *simulation) Joined(uint64)        {}
func (s *simulation) Left(uint64)          {}

// Judged takes in the verdict of the hub's policy.
func (s *simulation) Judged(j hub.Judged) {
	s.last.verdict = j.Verdict
	if j.Fault != nil {
		s.last.fault = j.Fault.Kind
	}
	if j.Verdict.Action() == policy.Handle && j.Verdict.Argument() == abi.RoleSet {
		if master, err := body.ReadRoleSet(j.PDUs[pdu.HeaderLen:]); err == nil {
			s.from.master = master != 0
		}
	}
}

// finish completes the result.
func (s *simulation) finish() {
	s.result.Calls, s.result.Time = s.policy.calls, s.policy.time
	s.result.sort()
}
