package replay

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/review"
	"switchyard/proxy/capture"
)

// A Report is what a replay found. As JSON it is the same each time, but for the
// policies' times.
type Report struct {
	Tenant   string    `json:"tenant"`
	Bodies   bool      `json:"bodies"` // were recorded
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	PDUs     uint64    `json:"pdus"`
	Bytes    uint64    `json:"bytes"`  // of those PDUs, whole
	Peers    int       `json:"peers"`  // sessions that were there at any time
	Missed   uint64    `json:"missed"` // records that the capture has not, though they were asked for
	Filtered bool      `json:"filtered"`
	Policies []*Result `json:"policies"`

	told     uint64 // missed, as its statistics say
	sessions map[uint64]struct{}
}

// A Result is what one policy makes of the capture.
type Result struct {
	Policy   string                      `json:"policy"`
	SHA256   string                      `json:"sha256"`
	Commands []*Command                  `json:"commands"` // by service and command
	Peers    []*Peer                     `json:"peers"`    // by session
	Faults   map[policy.FaultKind]uint64 `json:"faults"`
	Calls    uint64                      `json:"calls"` // of the guest, when the memo did not answer
	Time     time.Duration               `json:"time_ns"`

	commands map[ids]*Command
	peers    map[uint64]*Peer
}

// A Command is what a policy makes of the PDUs of one command.
type Command struct {
	Name     string        `json:"command"`
	Service  pdu.ServiceID `json:"service"`
	ID       pdu.CommandID `json:"id"`
	PDUs     uint64        `json:"pdus"`
	Received uint64        `json:"received_bytes"`
	Verdicts Tally         `json:"verdicts"`
	Dropped  Tally         `json:"dropped,omitempty"` // though the verdict is another, by reason
	Copies   uint64        `json:"copies"`            // sent to peers, what the hub says itself because of it included
	Sent     uint64        `json:"sent_bytes"`
	Faults   uint64        `json:"faults"`
	Redacted uint64        `json:"judged_redacted"` // the policy saw a body with values zeroed

	// What cannot be known: by why, PDUs whose verdict is not known, and PDUs whose
	// copies are not.
	Undecided Tally `json:"undecided,omitempty"`
	Unrouted  Tally `json:"unrouted,omitempty"`

	FromRecorded Changes `json:"from_recorded,omitempty"` // against the verdicts of the capture
	FromFirst    Changes `json:"from_first,omitempty"`    // against those of the first policy

	common common
}

// common is about the PDUs of which it is known what this policy sends, and what the
// first one does.
type common struct {
	pdus                uint64
	copiesFirst, copies uint64
	sentFirst, sent     uint64
}

// A Peer is what one session says and gets.
type Peer struct {
	Session uint64 `json:"session"`
	Said    uint64 `json:"said"`
	Copies  uint64 `json:"copies"`
	Bytes   uint64 `json:"bytes"`
}

// A Tally counts by a text.
type Tally map[string]uint64

// mostKinds bounds how many texts a Tally or Changes tells apart, and mostIDs how
// many commands: a capture may have made up any number.
const (
	mostKinds = 64
	mostIDs   = 4096
	others    = "others"
)

func (t *Tally) add(text string) {
	if *t == nil {
		*t = make(Tally)
	}
	if _, ok := (*t)[text]; !ok && len(*t) >= mostKinds {
		text = others
	}
	(*t)[text]++
}

// Sum returns the sum of all.
func (t Tally) Sum() (n uint64) {
	for _, k := range t {
		n += k
	}
	return n
}

// Texts returns what was counted, the most frequent first.
func (t Tally) Texts() []string {
	return slices.SortedFunc(maps.Keys(t), func(a, b string) int { return cmp.Or(cmp.Compare(t[b], t[a]), cmp.Compare(a, b)) })
}

// A Change is a number of PDUs with one verdict before and another after.
type Change struct {
	Before string `json:"before"`
	After  string `json:"after"`
	PDUs   uint64 `json:"pdus"`
}

// Changes are in the order in which they were first seen.
type Changes []Change

func (c *Changes) add(before, after string) {
	at := slices.IndexFunc(*c, func(known Change) bool { return known.Before == before && known.After == after })
	if at < 0 && len(*c) < mostKinds {
		*c, at = append(*c, Change{Before: before, After: after}), len(*c)
	}
	if at < 0 {
		at = len(*c) - 1
		(*c)[at].Before, (*c)[at].After = others, others
	}
	(*c)[at].PDUs++
}

// PDUs returns the sum of all.
func (c Changes) PDUs() (n uint64) {
	for _, one := range c {
		n += one.PDUs
	}
	return n
}

// ids are what a policy's classify is asked about.
type ids struct {
	service pdu.ServiceID
	command pdu.CommandID
}

func newReport() *Report {
	return &Report{sessions: make(map[uint64]struct{}), Policies: []*Result{}}
}

// about takes in what was asked to be recorded.
func (r *Report) about(t *capture.Tenant) {
	r.Tenant, r.Bodies = t.Name, t.Bodies
	r.Filtered = r.Filtered || t.Commands != nil
}

// count takes in a record.
func (r *Report) count(rec *capture.Record) {
	r.Missed += rec.Missed
	if len(r.sessions) < maxPeers {
		r.sessions[rec.Session] = struct{}{}
		r.Peers = len(r.sessions)
	}
	if rec.Kind != capture.PDU || rec.Known {
		return
	}
	if r.From.IsZero() {
		r.From = rec.Time
	}
	r.To = rec.Time
	r.PDUs++
	r.Bytes += uint64(rec.Length)
}

// statistics takes in what an interface says of itself: what was missed behind the
// last record, too.
func (r *Report) statistics(s capture.Statistics) {
	r.told += s.Missed
	r.Missed = max(r.Missed, r.told)
}

// command returns what there is on a command. When there are too many, the rest is
// one.
func (r *Result) command(i ids) *Command {
	if c := r.commands[i]; c != nil {
		return c
	}
	name := i.command.String()
	if len(r.commands) >= mostIDs {
		i, name = ids{0xffff, 0xffff}, others
		if c := r.commands[i]; c != nil {
			return c
		}
	}
	c := &Command{Name: name, Service: i.service, ID: i.command}
	r.commands[i] = c
	return c
}

func (r *Result) peer(session uint64) *Peer {
	p := r.peers[session]
	if p == nil && len(r.peers) >= maxPeers {
		session = 0 // no session's number: the rest of them
		p = r.peers[0]
	}
	if p == nil {
		p = &Peer{Session: session}
		r.peers[session] = p
	}
	return p
}

func (r *Result) sort() {
	r.Commands = slices.SortedFunc(maps.Values(r.commands), func(a, b *Command) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Service, b.Service))
	})
	r.Peers = slices.SortedFunc(maps.Values(r.peers), func(a, b *Peer) int { return cmp.Compare(a.Session, b.Session) })
}

// Weights returns what the first policy and another make of the capture, for a
// review of their differences, and of how many PDUs it is not known what both send:
// the weights have no copies of those.
func (r *Report) Weights(after int) (w review.Weights, unknown uint64) {
	w = make(review.Weights)
	for i, c := range r.Policies[after].commands {
		w[review.IDs{Service: i.service, Command: i.command}] = review.Weight{
			PDUs: c.PDUs, Bytes: c.Received, Changed: c.FromFirst.PDUs(),
			CopiesBefore: c.common.copiesFirst, CopiesAfter: c.common.copies,
			SentBefore: c.common.sentFirst, SentAfter: c.common.sent,
		}
		unknown += c.PDUs - c.common.pdus
	}
	return w, unknown
}
