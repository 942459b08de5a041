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
	// farBehind is the lag that the hub allows. A peer catches up after every PDU.
	farBehind = 1 << 40
	// highestSession is the largest session number that is taken over from a capture.
	// The hub gives out larger ones itself.
	highestSession = 1 << 62
	// maxPeers bounds the memory that a capture with many peers takes.
	maxPeers = 1 << 16
)

// A simulation is a hub with one policy and with peers that only count. It belongs to
// one goroutine.
type simulation struct {
	policy *countingPolicy
	active *policy.Active
	hub    *hub.Hub
	result *Result
	peers  map[uint64]*peer // by the session's number in the capture
	joined []*peer          // those that the hub has, in the order in which they joined
	vec    [][]byte         // scratch of peer.read

	unknown unknown

	now  int64   // the time of the record, by which rate limits count
	from *peer   // the sender of the PDU that was applied last
	last outcome // of that PDU
}

// An outcome is what a policy and its hub did with a PDU.
type outcome struct {
	certainty certainty // of what follows
	verdict   policy.Verdict
	fault     policy.FaultKind
	dropped   hub.Reason
	copies    uint64
	bytes     uint64
}

// newSimulation returns a hub with the policy in force. Filling the memo has called the policy for every
// known command; that is not part of the replay, so it is not counted.
func newSimulation(p Policy) *simulation {
	s := &simulation{policy: &countingPolicy{Policy: p.Policy}, peers: make(map[uint64]*peer), vec: make([][]byte, 0, 64)}
	s.result = &Result{Policy: p.Name, SHA256: p.SHA256, Faults: make(map[policy.FaultKind]uint64), commands: make(map[ids]*Command), peers: make(map[uint64]*Peer)}
	s.active = policy.NewActive(policy.NewGeneration(p.Name, p.SHA256, s.policy))
	s.policy.resetCounts()
	s.hub = hub.New(s.active, farBehind)
	s.hub.Attach(s)
	return s
}

func (s *simulation) close() { s.active.Close() }

// begin starts a capture: peers of one before it leave. What the capture leaves out is unknown from the
// start, see unknown.go.
func (s *simulation) begin(t *capture.Tenant) {
	for session := range s.peers {
		s.leave(session)
	}
	s.unknown = unknown{presence: !t.Bodies || !t.Keeps(pdu.CID_OTHER_ONLINE_USER_INFO) || !t.Keeps(pdu.CID_OTHER_USER_STATUS_UPDATE)}
	if !t.Keeps(pdu.CID_OTHER_ROLE_SET) {
		s.unknown.roles = allRoles
	}
}

// apply applies one record. p is its PDU at full length, with zeros for what was not
// recorded. A session is there from its first record on, even if the capture has none that it joined: it
// may have been missed.
func (s *simulation) apply(rec *capture.Record, t *capture.Tenant, p []byte) error {
	switch {
	case rec.Kind == capture.Left:
		s.leave(rec.Session)
		return nil
	case rec.Kind == capture.Joined:
		s.leave(rec.Session)
	}
	s.now = max(0, rec.Time.UnixNano())
	from, err := s.peer(rec.Session)
	if err != nil {
		return err
	}
	switch {
	case rec.Kind == capture.Grouped:
		from.group(rec.Membership)
	case rec.Kind == capture.Joined && rec.Master:
		s.restore(from, roleSet)
	case rec.Kind == capture.Joined:
	case rec.Known && (rec.Redacted || !rec.Whole()):
		s.unknown.presence = true
	case rec.Known:
		s.restore(from, p)
	default:
		s.receive(from, rec, t, p)
	}
	return nil
}

// roleSet is the PDU by which a peer declares itself master.
var roleSet = pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ROLE_SET, 0, []byte{1 << 3, 1})

// peer returns the peer of a session. A session that is new joins the hub.
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
	if p.seat == nil || err != nil { // not above the sessions before it: it keeps no number
		p.seat = s.hub.Join(p)
	}
	s.peers[session] = p
	s.joined = append(s.joined, p)
	return p, nil
}

// leave ends a session, if there is one of that number.
func (s *simulation) leave(session uint64) {
	if p := s.peers[session]; p != nil {
		delete(s.peers, session)
		s.disconnect(p)
	}
}

// disconnect removes a peer from the hub, unless the policy closed it before.
func (s *simulation) disconnect(p *peer) {
	if !p.closed {
		p.closed = true
		s.joined = slices.DeleteFunc(s.joined, func(other *peer) bool { return other == p })
		s.hub.Leave(p.seat)
		p.seat.Release(hub.PeerClosed)
	}
}

// restore gives the hub a PDU by which it knows again what it knew when the capture
// began. The PDU does not count.
func (s *simulation) restore(from *peer, p []byte) {
	if !from.closed {
		s.policy.next()
		s.handle(from, p)
	}
}

// receive lets the hub receive a PDU from a peer, and counts the outcome.
func (s *simulation) receive(from *peer, rec *capture.Record, t *capture.Tenant, p []byte) {
	h := pdu.ParseHeader(p)
	c := s.result.command(ids{h.Service, h.Command})
	c.PDUs++
	c.Received += uint64(len(p))
	s.result.peer(rec.Session).PDUs++
	s.last = outcome{}
	if from.closed {
		c.Undecided.add(senderClosed)
		return
	}
	s.policy.next()
	why := s.decideFromRecord(from, rec, t, p)
	if why == "" {
		s.handle(from, p)
		s.last.certainty = routed
	}
	switch {
	case s.last.certainty == undecided:
		c.Undecided.add(why)
	case s.last.certainty == decided:
		c.Unrouted.add(why)
	}
	s.count(c)
	if s.last.certainty == routed {
		s.countPeers()
	}
	if rec.Redacted && s.policy.sawBody {
		c.Redacted++
	}
	if s.last.certainty >= decided && s.last.verdict.Action() == policy.Close {
		s.disconnect(from)
	}
}

// countPeers adds the copies of the last PDU to their receivers.
func (s *simulation) countPeers() {
	for _, p := range s.joined {
		if p.copies > 0 {
			to := s.result.peer(p.session)
			to.Copies += p.copies
			to.Bytes += p.bytes
		}
	}
}

// count adds the last outcome to a command, if its verdict is known.
func (s *simulation) count(c *Command) {
	if s.last.certainty == undecided {
		return
	}
	c.Verdicts.add(verdictText(s.last.verdict, s.last.fault))
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

// handle gives the hub a PDU and counts what is due because of it. All peers read at once, so what
// a peer reads after a PDU is due to that PDU alone. The circuit breaker
// is reset first: a replay wants every verdict, however often the policy failed before.
func (s *simulation) handle(from *peer, p []byte) {
	s.hub.ResetBreaker()
	s.from, s.last = from, outcome{}
	_, err := s.hub.HandleTurn(from.seat, p, hub.Unbounded(s.now))
	head := s.hub.Head()
	for _, to := range s.joined {
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

// The rest of hub.Tap does nothing: the simulation itself adds, removes and groups peers.
func (s *simulation) Present(uint64, bool, *hub.Membership) {}
func (s *simulation) Joined(uint64, *hub.Membership)        {}
func (s *simulation) Grouped(uint64, *hub.Membership)       {}
func (s *simulation) Left(uint64)                           {}

// comparable returns a verdict without the number by which one generation knows the limit that a PDU
// is beyond.
func comparable(v policy.Verdict) policy.Verdict {
	if v.OverLimit() {
		return policy.Verdict(policy.Drop).WithLimit(1)
	}
	return v
}

// Judged records the verdict of the policy, and which peer became master.
func (s *simulation) Judged(j hub.Judged) {
	s.last.verdict = comparable(j.Verdict)
	if j.Fault != nil {
		s.last.fault = j.Fault.Kind
	}
	if j.Verdict.Action() == policy.Handle && j.Verdict.Argument() == abi.RoleSet {
		if master, err := body.ReadRoleSet(j.PDUs[pdu.HeaderLen:]); err == nil {
			s.from.master = master != 0
		}
	}
}

// finish completes the result, after the last record.
func (s *simulation) finish() {
	s.result.Calls, s.result.Time = s.policy.calls, s.policy.time
	s.result.sort()
}
