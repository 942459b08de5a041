package cases

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/review"
	"switchyard/proxy/hub"
)

// A Report is the result of running cases. Its JSON names are documented to users.
type Report struct {
	Passed   int      `json:"passed"`
	Failed   int      `json:"failed"`
	Results  []Result `json:"results"`
	Coverage Coverage `json:"coverage"`
	Notes    []Note   `json:"notes,omitempty"` // on groups that the policy does not name
}

// A Result is the result of one case.
type Result struct {
	Name       string     `json:"name"`
	Line       int        `json:"line"`
	Passed     bool       `json:"passed"`
	Mismatches []Mismatch `json:"mismatches,omitempty"`
	Got        Got        `json:"got"`
	Notes      []string   `json:"notes,omitempty"` // what may explain a mismatch
	Log        []string   `json:"log,omitempty"`   // what the policy logged while it decided
}

// A Mismatch is one expectation that was not met.
type Mismatch struct {
	What string `json:"what"`
	Want string `json:"want"`
	Got  string `json:"got"`
}

// Got is what became of a case's PDU.
type Got struct {
	Verdict string              `json:"verdict"`
	To      []string            `json:"to"`
	Sends   map[string][]string `json:"sends,omitempty"` // by peer, the commands of what it was sent
	Dropped hub.Reason          `json:"dropped,omitempty"`
	Fault   policy.FaultKind    `json:"fault,omitempty"`
}

// Coverage says which commands the cases test, of those with another verdict than unknown
// commands.
type Coverage struct {
	Ruled   int      `json:"ruled"`
	Covered int      `json:"covered"`
	Missing []string `json:"missing,omitempty"`
	Unknown string   `json:"unknown,omitempty"` // why the coverage is not known; then the rest is empty
}

// Results runs cases on a policy, which the caller closes. Each case has a hub of its own, so no
// case depends on those before it. The policy is instantiated once for all: it has no state by
// contract.
func Results(name, sha256 string, p policy.Policy, cases []Case) (results []Result) {
	for _, c := range cases {
		results = append(results, c.run(name, sha256, p))
	}
	return results
}

// Run is Results with a summary. For the coverage it asks the policy about every command, which
// takes most of its time. If the context ends before that, the coverage is not known.
func Run(ctx context.Context, name, sha256 string, p policy.Policy, cases []Case) Report {
	r := Report{Results: Results(name, sha256, p, cases)}
	for _, result := range r.Results {
		if result.Passed {
			r.Passed++
		} else {
			r.Failed++
		}
	}
	var services []pdu.ServiceID
	var peers []Peer
	for _, c := range cases {
		services = append(services, pdu.ParseHeader(c.PDU).Service)
		peers = append(peers, c.Peers...)
	}
	r.Notes = NotesOfGroups(peers, policy.GroupsOf(p))
	table := review.NewQuestions(services, p).Extract(ctx, p)
	if ctx.Err() != nil {
		r.Coverage.Unknown = "the policy answers too slowly to be asked about every command"
		return r
	}
	r.Coverage.count(table.Rows(), cases)
	return r
}

// count counts the commands and ranges with a rule, each once. A range is covered if one
// of its commands is.
func (v *Coverage) count(rows []review.Row, cases []Case) {
	last := ""
	for _, row := range rows {
		if row.Alike || row.Command == last {
			continue
		}
		last = row.Command
		tried := func(c Case) bool {
			id := uint16(pdu.ParseHeader(c.PDU).Command)
			return row.First <= id && id <= row.Last
		}
		if v.Ruled++; slices.ContainsFunc(cases, tried) {
			v.Covered++
		} else {
			v.Missing = append(v.Missing, row.Command)
		}
	}
}

// run runs one case, and notes what may explain a mismatch.
func (c Case) run(name, sha256 string, p policy.Policy) Result {
	harness := NewHarness(name, sha256, p, c.Peers)
	defer harness.Close()
	harness.Repeat(c.From, c.PDU, c.Before, c.Wait)
	o := harness.Send(c.From, c.PDU)
	limits := policy.RateLimitsOf(p)
	r := Result{Name: c.Name, Line: c.Line, Got: o.got(limits), Log: o.Logged}
	c.compare(o, &r)
	if r.Passed = len(r.Mismatches) == 0; r.Passed {
		return r
	}
	if !slices.ContainsFunc(r.Mismatches, func(m Mismatch) bool { return m.What == "verdict" }) {
		r.Notes = append(r.Notes, "the verdict is "+r.Got.Verdict)
	}
	if o.Fault != nil {
		r.Notes = append(r.Notes, o.Fault.Error())
	}
	if len(c.Lacks) > 0 {
		r.Notes = append(r.Notes, "the body lacks fields that its message requires: "+strings.Join(c.Lacks, ", "))
	}
	return r
}

// got returns an outcome by the names that files of cases use.
func (o Outcome) got(limits policy.RateLimits) Got {
	g := Got{Verdict: limits.Spell(o.Verdict), Dropped: o.Dropped}
	if o.Fault != nil {
		g.Fault = o.Fault.Kind
	}
	g.To, g.Sends = o.Sent()
	return g
}

// Sent returns the peers that received copies, and by peer the commands of those. A peer may receive other
// commands than the one that was sent: a handler answers, or announces a change of presence.
func (o Outcome) Sent() (to []string, commands map[string][]string) {
	to, commands = []string{}, make(map[string][]string)
	for _, c := range o.Copies {
		to = append(to, c.Peer)
		for _, p := range c.PDUs {
			commands[c.Peer] = append(commands[c.Peer], pdu.ParseHeader(p).Command.String())
		}
	}
	return to, commands
}

// compare notes every expectation that was not met. What a case does not mention may be anything,
// with two exceptions: a fault, and a drop for another reason than the verdict, must be expected.
// Otherwise a case that expects action = "drop" would pass for a policy that fails.
func (c Case) compare(o Outcome, r *Result) {
	want := c.Want
	check := func(what, want, got string) {
		if want != got {
			r.Mismatches = append(r.Mismatches, Mismatch{what, want, got})
		}
	}
	if want.Action != nil {
		check("action", want.Action.String(), o.Verdict.Action().String())
	}
	if want.Verdict != nil {
		check("verdict", policy.RateLimits{want.Limit}.Spell(*want.Verdict), r.Got.Verdict)
	}
	if want.To != nil {
		check("to", list(inOrder(want.To, c.Peers)), list(r.Got.To))
	}
	if want.Sends != nil {
		c.compareSends(r, check)
	}
	if want.Dropped != "" || o.Dropped != hub.ByPolicy && o.Dropped != "" {
		check("dropped", cmp.Or(string(want.Dropped), "no"), cmp.Or(string(o.Dropped), "no"))
	}
	check("fault", cmp.Or(string(want.Fault), "no"), cmp.Or(string(r.Got.Fault), "no"))
}

// compareSends compares the commands that each peer received.
func (c Case) compareSends(r *Result, check func(what, want, got string)) {
	var want []string
	for _, id := range c.Want.Sends {
		want = append(want, id.String())
	}
	if len(r.Got.To) == 0 {
		check("sends", list(want), "nothing")
	}
	for _, peer := range r.Got.To {
		check(fmt.Sprintf("sends to %s", peer), list(want), list(r.Got.Sends[peer]))
	}
}

// inOrder returns the names in the order of the peers, each once.
func inOrder(names []string, peers []Peer) (ordered []string) {
	for _, p := range peers {
		if slices.Contains(names, p.Name) {
			ordered = append(ordered, p.Name)
		}
	}
	return ordered
}

func list(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}
