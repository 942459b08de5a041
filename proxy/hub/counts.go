package hub

import (
	"maps"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
)

// A Reason says why PDUs were dropped, or why a session was closed and the copies due
// to it were discarded. The same word is metric label, log field and test assertion.
type Reason string

// Why PDUs are dropped.
const (
	ByPolicy      Reason = "policy"         // the verdict is drop
	PolicyFault   Reason = "policy-fault"   // the policy failed to decide, and there is no verdict by ids
	MalformedBody Reason = "malformed-body" // a body that a handler or a verdict needs does not parse
	BadStatus     Reason = "bad-status"     // a status that the original aborts on
	OverLimit     Reason = "over-limit"     // beyond a rate limit of the policy
	NoHolder      Reason = "no-holder"      // a unicast without a receiver
	TooManyUsers  Reason = "too-many-users" // a unicast whose body names more than may be looked up, or whom too many peers hold, or a question about more
	AnswerTooLong Reason = "answer-too-long"
	PresenceFull  Reason = "presence-full" // more users than the tenant or the peer may have
	Standby       Reason = "standby"       // said by a link of a msg_server that another one serves
)

// Why PDUs are dropped without having been judged, or why their sender is paused.
const (
	OverQuotaPDUs     Reason = "over-quota-pdus"
	OverQuotaBytesIn  Reason = "over-quota-bytes-in"
	OverQuotaBytesOut Reason = "over-quota-bytes-out" // counted after fan-out
	LogFull           Reason = "log-full"             // the logs and edits have reached limits.log
	OrderFull         Reason = "order-full"           // too much is under way in the order of several hubs
	SessionEnded      Reason = "session-ended"        // sent to a session that no longer routes
)

// Why sessions are closed.
const (
	PeerClosed   Reason = "peer-closed" // end of stream
	PeerReset    Reason = "peer-reset"  // the connection broke
	BadLength    Reason = "bad-length"
	IdleTimeout  Reason = "idle-timeout"  // nothing received for too long
	WriteTimeout Reason = "write-timeout" // nothing taken for too long
	SlowConsumer Reason = "slow-consumer" // too far behind
	ClosedBy     Reason = "policy-close"  // the verdict is close
	UrgentData   Reason = "urgent-data"   // the peer sent TCP urgent data, on which the original closes
	Drained      Reason = "drain"         // the server stops
	RolledBack   Reason = "rollback"      // its users were announced to a policy that was rolled back or killed
	Forced       Reason = "forced"        // the server stops at once
	NoPDU        Reason = "no-pdu"        // the first PDU did not arrive whole in time
	PDUTimeout   Reason = "pdu-timeout"   // a PDU arrived too slowly
	InputFull    Reason = "input-full"    // PDUs that had not arrived whole took too much memory
	Handover     Reason = "handover"      // the session could not move to the new process
	ByOperator   Reason = "operator"      // an operator closed it
	Replaced     Reason = "replaced"      // another link of the same msg_server has taken its users over
)

// Why sessions are closed that would no longer be accepted.
const (
	NotAllowed           Reason = "not-allowed" // the source is no longer in allow
	CertificateRevoked   Reason = "certificate-revoked"
	CertificateExpired   Reason = "certificate-expired"
	CertificateUnknownCA Reason = "certificate-unknown-ca"
)

// Why sessions are closed whose first bytes belong to another protocol.
const (
	TLSOnPlainPort Reason = "tls-on-plain-port"
	ProxyHeader    Reason = "proxy-header" // from a source that is not in proxy_from
	HTTP           Reason = "http"
)

// Counts says what became of every PDU and every copy since the hub was made:
//
//	Received   = sum of Actions + sum of Dropped + Underway
//	Due        = Delivered + Pending + sum of Discarded
//
// The first equation is about PDUs that peers sent, the second about copies to peers.
type Counts struct {
	Received  uint64
	Actions   map[policy.Action]uint64 // accepted PDUs, by action; drop is not included
	Dropped   map[Reason]uint64
	Underway  uint64 // judged PDUs that have not come back in the order of several hubs
	Refused   uint64 // PDUs dropped before they were judged
	Unstaged  uint64 // PDUs judged while no stage was in force; policy.Tally counts the others
	Made      uint64 // PDUs of the hub's own: notices, answers, heartbeats
	Due       uint64
	Delivered uint64 // written whole to a connection
	Pending   uint64 // due to a session that still exists, and not yet known to be written
	Discarded map[Reason]uint64
	Sessions  int
	Joined    uint64            // sessions, present and past; not those that never began
	Closed    map[Reason]uint64 // sessions that have ended
	BytesIn   uint64            // of the PDUs received
	BytesOut  uint64            // written to connections
	Lag       uint64            // bytes that the seat furthest behind is behind
	Lags      uint64            // bytes that all seats are behind together

	// Slowed is how often the reader of a peer paused, and SlowedTime the total length
	// of the pauses that have ended.
	Slowed     map[Reason]uint64
	SlowedTime map[Reason]time.Duration
}

// Lost returns how many PDUs were dropped although the policy did not say so: all but those
// with the verdict drop or beyond a rate limit, and unicasts that have no receiver.
func (c *Counts) Lost() (lost uint64) {
	for why, n := range c.Dropped {
		if why != ByPolicy && why != OverLimit && why != NoHolder {
			lost += n
		}
	}
	return lost
}

// Sum returns the sum of counts by action or reason.
func Sum[K comparable](counts map[K]uint64) (sum uint64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// counts is guarded by hub.mu.
type counts struct {
	received  uint64
	actions   [len(policy.Actions)]uint64
	dropped   map[Reason]uint64
	refused   uint64 // not judged
	staged    uint64 // judged by a stage
	made      uint64
	delivered uint64 // to sessions that have ended
	discarded map[Reason]uint64
	joined    uint64
	closed    map[Reason]uint64
	bytesIn   uint64
	bytesOut  uint64          // to sessions that have ended
	commands  []commandCounts // by commandIndex

	custom      map[pdu.CommandID]*commandCounts // of custom commands, and of those that were
	unknown     map[pdu.CommandID]*commandCounts // of commands that are not known, a part of commands[0]
	unknownRoom [2]int                           // that is used, see countUnknown

	slowed     map[Reason]uint64
	slowedTime map[Reason]time.Duration

	groups map[policy.Group]uint64 // copies, see GroupCount; nil until there is one
}

func newCounts() counts {
	return counts{dropped: make(map[Reason]uint64), discarded: make(map[Reason]uint64), closed: make(map[Reason]uint64), commands: make([]commandCounts, len(countedCommands)), custom: make(map[pdu.CommandID]*commandCounts), unknown: make(map[pdu.CommandID]*commandCounts),
		slowed: make(map[Reason]uint64), slowedTime: make(map[Reason]time.Duration)}
}

// Counts returns the counts at this moment.
func (h *Hub) Counts() Counts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.countsNow()
}

// CountsAndWeighed returns the counts, and what was counted in tallies, at one moment.
func (h *Hub) CountsAndWeighed(tallies ...*policy.Tally) (Counts, []policy.Weighed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]policy.Weighed, 0, len(tallies))
	for _, t := range tallies {
		all = append(all, weighedNow(t))
	}
	return h.countsNow(), all
}

// countsNow is Counts under mu.
func (h *Hub) countsNow() Counts {
	c := Counts{
		Received:  h.counts.received,
		Actions:   make(map[policy.Action]uint64),
		Dropped:   maps.Clone(h.counts.dropped),
		Refused:   h.counts.refused,
		Unstaged:  h.counts.received - h.counts.refused - h.counts.staged,
		Made:      h.counts.made,
		Delivered: h.counts.delivered,
		Discarded: maps.Clone(h.counts.discarded),
		Sessions:  len(h.seats),
		Joined:    h.counts.joined,
		Closed:    maps.Clone(h.counts.closed),
		BytesIn:   h.counts.bytesIn,
		BytesOut:  h.counts.bytesOut,

		Slowed:     maps.Clone(h.counts.slowed),
		SlowedTime: maps.Clone(h.counts.slowedTime),
	}
	if h.order != nil {
		c.Underway = h.order.pdus
	}
	for action, n := range h.counts.actions {
		if n > 0 {
			c.Actions[policy.Action(action)] = n
		}
	}
	for s := range h.seats {
		s.countTo(&c)
	}
	for s := range h.leaving {
		s.countTo(&c)
	}
	c.Due = c.Delivered + c.Pending + Sum(c.Discarded)
	return c
}

// countTo adds the seat's copies and lag to c. Called under mu.
func (s *Seat) countTo(c *Counts) {
	sent := s.writer.sent.Load()
	c.Delivered += sent
	c.Pending += s.dueSoFar() - sent
	c.BytesOut += s.writer.sentBytes.Load()
	lag := s.lag()
	c.Lag, c.Lags = max(c.Lag, lag), c.Lags+lag
}

// countReceived counts a run that was judged. Called under mu.
func (h *Hub) countReceived(from *reader, r *run) {
	h.counts.received += uint64(r.pdus)
	if from.stage != nil {
		h.counts.staged += uint64(r.pdus)
	}
}

// count counts a run that has been routed. Called under mu.
func (h *Hub) count(from *reader, r *run) {
	c := &h.counts
	switch {
	case from.uncounted:
		return
	case from.applies:
		h.order.pdus -= uint64(r.pdus)
	default:
		h.countReceived(from, r)
	}
	if r.dropped != "" {
		c.dropped[r.dropped] += uint64(r.pdus)
		if r.dropped == OverLimit {
			from.seat.limited += uint64(r.pdus)
		}
	} else {
		c.actions[r.verdict.Action()] += uint64(r.pdus)
	}
}
