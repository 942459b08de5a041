package hub

import (
	"cmp"
	"slices"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// An audit is a shadow evaluation: a second policy judges each PDU as well, and the hub
// counts what that policy would have sent beside what is sent. Whatever the shadow
// policy says, and however it fails, the PDUs are routed as without it.
type audit struct {
	active *policy.Active
	rows   map[pdu.CommandID]*AuditRow // guarded by hub.mu
}

// An AuditRow is about the PDUs of one command that peers sent since the audit began.
// Notices and answers, which the hub makes itself, are not included.
type AuditRow struct {
	Command pdu.CommandID // 0 stands for all ids that the protocol does not have
	PDUs    uint64
	Sent    Copies // by the policy in force
	Audited Copies // what the audited policy would have sent
	Useless Copies // sent, but not by the audited policy
	Missed  Copies // not sent, but by the audited policy
	Faults  uint64 // PDUs about which the audited policy failed to decide
}

// Add adds the counts of another row.
func (r *AuditRow) Add(other AuditRow) {
	r.PDUs += other.PDUs
	r.Faults += other.Faults
	r.Sent.plus(other.Sent)
	r.Audited.plus(other.Audited)
	r.Useless.plus(other.Useless)
	r.Missed.plus(other.Missed)
}

// Copies counts PDUs once for each peer that they go to.
type Copies struct{ PDUs, Bytes uint64 }

func (c *Copies) plus(other Copies) {
	c.PDUs += other.PDUs
	c.Bytes += other.Bytes
}

// copies returns the count of n copies of a PDU.
func copies(n int, p []byte) Copies {
	return Copies{PDUs: uint64(n), Bytes: uint64(n) * uint64(len(p))}
}

// SetAudit audits g, which the hub owns from then on, in place of the previous audited
// policy; nil ends the audit. All rows begin at 0.
func (h *Hub) SetAudit(g *policy.Generation) {
	var a *audit
	if g != nil {
		a = &audit{active: policy.NewActive(g), rows: make(map[pdu.CommandID]*AuditRow)}
	}
	if before := h.audit.Swap(a); before != nil {
		// A goroutine that loaded the audit before the swap may still acquire a policy
		// from it. It gets one that needs no Close.
		before.active.Install(policy.NewGeneration("", "", noPolicy{}))
	}
}

// Audit returns the rows of the audit, in the order of the commands.
func (h *Hub) Audit() (rows []AuditRow) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a := h.audit.Load(); a != nil {
		for _, row := range a.rows {
			rows = append(rows, *row)
		}
	}
	slices.SortFunc(rows, func(x, y AuditRow) int { return cmp.Compare(x.Command, y.Command) })
	return rows
}

// resetBreaker closes the audited policy's circuit breaker.
func (a *audit) resetBreaker() {
	g := a.active.Acquire()
	defer g.Release()
	g.ResetBreaker()
}

// A shadowVerdict is what the audited policy says about one PDU.
type shadowVerdict struct {
	verdict policy.Verdict
	failed  bool
}

// compareShadow counts what is about to be sent for the next runs, and what the audited
// policy would have sent. It takes as many runs as route carries out under one lock,
// because the next one may change who is present.
func (h *Hub) compareShadow(a *audit, s *Seat, runs []run) {
	if i := slices.IndexFunc(runs, func(r run) bool { return asksPresence(r.verdict) }); i >= 0 {
		runs = runs[:max(i, 1)]
	}
	s.judgeShadow(a, runs)
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	defer h.trimHolders()
	h.mu.Lock()
	defer h.mu.Unlock()
	i := 0
	for _, r := range runs {
		for p, rest := cutPDU(r.bytes); p != nil; p, rest = cutPDU(rest) {
			h.count(a.row(p), s, p, r.verdict, s.reader.shadowVerdicts[i])
			i++
		}
	}
}

// judgeShadow fills the reader's shadowVerdicts with what the audited policy says.
func (s *Seat) judgeShadow(a *audit, runs []run) {
	g := a.active.Acquire()
	defer g.Release()
	judging := g.Begin(s.Session(), s.attributes())
	defer judging.Release()
	verdicts := s.reader.shadowVerdicts[:0]
	for _, r := range runs {
		for p, rest := cutPDU(r.bytes); p != nil; p, rest = cutPDU(rest) {
			v, fault := judging.Judge(p)
			verdicts = append(verdicts, shadowVerdict{v, fault != nil})
		}
	}
	s.reader.shadowVerdicts = verdicts
}

// cutPDU returns the first of the PDUs, or nil, and the others.
func cutPDU(pdus []byte) (p, rest []byte) {
	if len(pdus) == 0 {
		return nil, nil
	}
	n := int(pdu.ParseHeader(pdus).Length)
	return pdus[:n], pdus[n:]
}

// row returns the row in which a PDU is counted. All unknown ids share one row. Called
// under mu.
func (a *audit) row(p []byte) *AuditRow {
	command := pdu.ParseHeader(p).Command
	if _, known := pdu.CommandByID(command); !known {
		command = 0
	}
	row := a.rows[command]
	if row == nil {
		row = &AuditRow{Command: command}
		a.rows[command] = row
	}
	return row
}

// count counts one PDU: the copies that its verdict sends, and those that the shadow
// verdict would have sent. Called under presenceMu and mu.
func (h *Hub) count(row *AuditRow, s *Seat, p []byte, v policy.Verdict, shadow shadowVerdict) {
	sent := h.reach(s, v, p)
	h.reached = append(h.reached[:0], sent.some...) // the next call overwrites h.targets
	sent.some = h.reached
	would := h.reach(s, shadow.verdict, p)
	both := h.shared(sent, would)

	one := AuditRow{PDUs: 1, Sent: copies(h.size(sent), p), Audited: copies(h.size(would), p),
		Useless: copies(h.size(sent)-both, p), Missed: copies(h.size(would)-both, p)}
	if shadow.failed {
		one.Faults = 1
	}
	row.Add(one)
}

// A reach is the set of seats to which a PDU goes: all but one, which may be nil, or
// some.
type reach struct {
	all  bool
	but  *Seat
	some []*Seat
}

// reach returns the seats to which that verdict would send the PDU now: it looks up
// what routeRun and routeByPresence do, and sends nothing. The result is valid until
// the next call. Called under presenceMu and mu.
func (h *Hub) reach(s *Seat, v policy.Verdict, p []byte) reach {
	switch v.Action() {
	case policy.BroadcastAll:
		return reach{all: true}
	case policy.BroadcastExceptSender:
		return reach{all: true, but: s}
	case policy.Unicast:
		if !asksPresence(v) {
			h.findNamed(s, v)
		} else if h.findUsers(v, p) == "" {
			h.seatHolders()
		} else {
			return reach{all: v.Has(abi.ElseBroadcast), but: s}
		}
		h.leaveOut(s, v)
		return reach{some: h.targets}
	}
	return reach{}
}

// size returns how many seats are in r.
func (h *Hub) size(r reach) int {
	switch {
	case !r.all:
		return len(r.some)
	case r.but != nil:
		return len(h.seats) - 1
	}
	return len(h.seats)
}

// shared returns how many seats are in both.
func (h *Hub) shared(x, y reach) (n int) {
	if x.all && y.all {
		return min(h.size(x), h.size(y)) // if they leave out a seat, it is the sender's
	}
	if x.all {
		x, y = y, x
	}
	for _, to := range x.some {
		if y.all && to != y.but || slices.Contains(y.some, to) {
			n++
		}
	}
	return n
}

// noPolicy is a policy that drops everything and has nothing to close.
type noPolicy struct{}

func (noPolicy) Classify(pdu.ServiceID, pdu.CommandID) (policy.Verdict, error) { return 0, nil }
func (noPolicy) Inspect(policy.Verdict, policy.Question) (policy.Verdict, error) {
	return 0, nil
}
func (noPolicy) Close() error { return nil }
