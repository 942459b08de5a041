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
	"switchyard/proxy/hub"
)

// A Report is the result of a replay. Its JSON is the same for the same capture, except
// for the policies' times.
type Report struct {
	Tenant   string    `json:"tenant"`
	Bodies   bool      `json:"bodies"` // were recorded
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	PDUs     uint64    `json:"pdus"`
	Bytes    uint64    `json:"bytes"`  // of those PDUs, whole
	Peers    int       `json:"peers"`  // all sessions of the capture
	Missed   uint64    `json:"missed"` // records that are not in the capture because the recorder was behind
	Filtered bool      `json:"filtered"`
	Policies []*Result `json:"policies"`

	reported uint64 // missed, by the statistics of the capture
	sessions map[uint64]struct{}
}

// A Result is what one policy did with the capture.
type Result struct {
	Policy   string                      `json:"policy"`
	SHA256   string                      `json:"sha256"`
	Commands []*Command                  `json:"commands"` // by service and command
	Peers    []*Peer                     `json:"peers"`    // by session
	Faults   map[policy.FaultKind]uint64 `json:"faults"`
	Calls    uint64                      `json:"calls"` // of the policy, where the memo had no answer
	Time     time.Duration               `json:"time_ns"`

	commands map[ids]*Command
	peers    map[uint64]*Peer
}

// A Command is what one policy did with the PDUs of one command.
type Command struct {
	Name     string        `json:"command"`
	Service  pdu.ServiceID `json:"service"`
	ID       pdu.CommandID `json:"id"`
	PDUs     uint64        `json:"pdus"`
	Received uint64        `json:"received_bytes"`
	Verdicts Tally         `json:"verdicts"`
	Dropped  Tally         `json:"dropped,omitempty"` // by a reason other than the verdict
	Copies   uint64        `json:"copies"`            // sent to peers, including what the hub itself sends because of them
	Sent     uint64        `json:"sent_bytes"`
	Faults   uint64        `json:"faults"`
	Redacted uint64        `json:"judged_redacted"` // PDUs that the policy judged by a body with zeroed values

	// By the reason why: PDUs whose verdict is unknown, and PDUs whose verdict is known
	// and whose copies are not.
	Undecided Tally `json:"undecided,omitempty"`
	Unrouted  Tally `json:"unrouted,omitempty"`

	FromRecorded Changes `json:"from_recorded,omitempty"` // compared with the verdicts in the capture
	FromFirst    Changes `json:"from_first,omitempty"`    // compared with the verdicts of the first policy

	common common
}

// common is about the PDUs of which it is known what both this policy and the first one
// send.
type common struct {
	pdus                uint64
	copiesFirst, copies uint64
	sentFirst, sent     uint64
}

// A Peer is what one session sent, and what one policy delivered to it.
type Peer struct {
	Session uint64 `json:"session"`
	PDUs    uint64 `json:"said"`   // sent by the peer
	Copies  uint64 `json:"copies"` // delivered to it
	Bytes   uint64 `json:"bytes"`  // of the copies
}

// A Tally counts PDUs by a text, such as a verdict or a reason.
type Tally map[string]uint64

// mostKinds bounds how many texts a Tally or Changes distinguishes, and mostIDs how many
// commands. A forged capture may hold any number.
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
func (t Tally) Sum() uint64 { return hub.Sum(t) }

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

// Changes are sorted by when each was first seen.
type Changes []Change

// add counts a PDU with these verdicts. When there are too many different pairs, the last entry
// becomes that of all others.
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

// ids are the arguments of Policy.Classify.
type ids struct {
	service pdu.ServiceID
	command pdu.CommandID
}

func newReport() *Report {
	return &Report{sessions: make(map[uint64]struct{}), Policies: []*Result{}}
}

// begin takes over what a capture was asked to record. Of several in one file, a filter of any counts.
func (r *Report) begin(t *capture.Tenant) {
	r.Tenant, r.Bodies = t.Name, t.Bodies
	r.Filtered = r.Filtered || t.Commands != nil
}

// count counts a record.
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

// statistics takes over the counts that the capture has of an interface. They include
// what was missed after its last record.
func (r *Report) statistics(s capture.Statistics) {
	r.reported += s.Missed
	r.Missed = max(r.Missed, r.reported)
}

// command returns the entry of a command. Beyond mostIDs, all commands share one.
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

// peer returns the entry of a session. Beyond maxPeers, all sessions share one.
func (r *Result) peer(session uint64) *Peer {
	p := r.peers[session]
	if p == nil && len(r.peers) >= maxPeers {
		session = 0 // not a session: the entry that the rest shares
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

// Weights returns what the first policy and another one did with the capture, for a
// review of their differences. unknown is the number of PDUs for which it is not known
// what both send; the weights count no copies of those.
func (r *Report) Weights(after int) (w review.Weights, unknown uint64) {
	w = make(review.Weights)
	for i, c := range r.Policies[after].commands {
		w[policy.IDs{Service: i.service, Command: i.command}] = review.Weight{
			PDUs: c.PDUs, Bytes: c.Received, Changed: c.FromFirst.PDUs(),
			CopiesBefore: c.common.copiesFirst, CopiesAfter: c.common.copies,
			SentBefore: c.common.sentFirst, SentAfter: c.common.sent,
		}
		unknown += c.PDUs - c.common.pdus
	}
	return w, unknown
}
