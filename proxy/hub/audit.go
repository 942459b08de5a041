package hub

import (
	"cmp"
	"slices"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// An audit asks a second policy about each PDU, and counts what it would have sent
// beside what is sent. It changes nothing of what happens to a PDU, whatever that
// policy says or however it fails.
type audit struct {
	judge *policy.Active
	rows  map[pdu.CommandID]*AuditRow // guarded by hub.mu
}

// An AuditRow is about the PDUs of one command that peers sent since the audit
// began. What the hub makes itself, notices and answers, is in none.
type AuditRow struct {
	Command pdu.CommandID // 0 stands for all that the protocol does not have
	PDUs    uint64
	Sent    Copies // by the policy in force
	Audited Copies // what the audited policy would have sent
	Useless Copies // sent, and not to be sent by the audited policy
	Missed  Copies // not sent, and to be sent by the audited policy
	Faults  uint64 // PDUs about which the audited policy failed to decide
}

// Add adds what another row counts.
func (r *AuditRow) Add(other AuditRow) {
	r.PDUs += other.PDUs
	r.Faults += other.Faults
	r.Sent.plus(other.Sent)
	r.Audited.plus(other.Audited)
	r.Useless.plus(other.Useless)
	r.Missed.plus(other.Missed)
}

// Copies are PDUs on their way to a peer each.
type Copies struct{ PDUs, Bytes uint64 }

func (c *Copies) plus(other Copies) {
	c.PDUs += other.PDUs
	c.Bytes += other.Bytes
}

// copies returns n copies of a PDU.
func copies(n int, p []byte) Copies {
	return Copies{PDUs: uint64(n), Bytes: uint64(n) * uint64(len(p))}
}

// SetAudit has g, which the hub owns from now on, audited in place of the one
// before; nil audits none. All rows begin anew.
func (h *Hub) SetAudit(g *policy.Generation) {
	var a *audit
	if g != nil {
		a = &audit{judge: policy.NewActive(g), rows: make(map[pdu.CommandID]*AuditRow)}
	}
	if before := h.audit.Swap(a); before != nil {
		// Who found it before the swap may still acquire: one that needs no closing.
		before.judge.Install(policy.NewGeneration("", "", silence{}))
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

// forgive has the audited policy asked again if it has failed too often.
func (a *audit) forgive() {
	g := a.judge.Acquire()
	defer g.Release()
	g.ResetBreaker()
}

// A second is what the audited policy says of one PDU.
type second struct {
	verdict policy.Verdict
	failed  bool
}

// weigh counts what is about to be sent for the runs that route does next, up to one
// that may change who is present, and what would have been sent by the audited policy.
func (h *Hub) weigh(a *audit, s *Seat, runs []run) {
	if i := slices.IndexFunc(runs, func(r run) bool { return asksPresence(r.verdict) }); i >= 0 {
		runs = runs[:max(i, 1)]
	}
	s.askAgain(a, runs)
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	defer h.forgetHolders()
	h.mu.Lock()
	defer h.mu.Unlock()
	i := 0
	for _, r := range runs {
		for p, rest := cutPDU(r.bytes); p != nil; p, rest = cutPDU(rest) {
			h.count(a.row(p), s, p, r.verdict, s.seconds[i])
			i++
		}
	}
}

// askAgain fills s.seconds with what the audited policy says.
func (s *Seat) askAgain(a *audit, runs []run) {
	g := a.judge.Acquire()
	defer g.Release()
	hearing := g.Begin(s.session, s.attributes())
	defer hearing.Release()
	s.seconds = s.seconds[:0]
	for _, r := range runs {
		for p, rest := cutPDU(r.bytes); p != nil; p, rest = cutPDU(rest) {
			v, fault := hearing.Judge(p)
			s.seconds = append(s.seconds, second{v, fault != nil})
		}
	}
}

// cutPDU returns the first of the PDUs, or nil, and the others.
func cutPDU(pdus []byte) (p, rest []byte) {
	if len(pdus) == 0 {
		return nil, nil
	}
	n := int(pdu.ParseHeader(pdus).Length)
	return pdus[:n], pdus[n:]
}

// row returns where a PDU is counted. Ids that a peer makes up share one row. Called
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

// count counts one PDU: what the verdict on it sends, and what the second one would
// have. Called under presenceMu and mu.
func (h *Hub) count(row *AuditRow, s *Seat, p []byte, v policy.Verdict, audited second) {
	sent := h.reach(s, v, p)
	h.reached = append(h.reached[:0], sent.some...) // h.targets is needed again
	sent.some = h.reached
	would := h.reach(s, audited.verdict, p)
	both := h.shared(sent, would)

	one := AuditRow{PDUs: 1, Sent: copies(h.size(sent), p), Audited: copies(h.size(would), p),
		Useless: copies(h.size(sent)-both, p), Missed: copies(h.size(would)-both, p)}
	if audited.failed {
		one.Faults = 1
	}
	row.Add(one)
}

// reach is whom a PDU goes to: all seats but one, which may be nil, or some.
type reach struct {
	all  bool
	but  *Seat
	some []*Seat
}

// reach returns whom the PDU would go to by that verdict, as things are now: what
// routeRun and routeByPresence do, without doing it. What it returns is valid until
// it is called again. Called under presenceMu and mu.
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
		return min(h.size(x), h.size(y)) // if they leave out a seat, then the sender's
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

// silence is a policy that says nothing.
type silence struct{}

func (silence) Classify(pdu.ServiceID, pdu.CommandID) (policy.Verdict, error) { return 0, nil }
func (silence) Inspect(policy.Verdict, policy.Question) (policy.Verdict, error) {
	return 0, nil
}
func (silence) Close() error { return nil }
