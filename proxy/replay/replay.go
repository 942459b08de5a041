// Package replay runs policies over a capture and reports what they would change. Each
// policy has a production hub of its own, with peers that only count:
//
//	capture ──record──┬──▶ simulation of the first policy ──▶ outcome ─┐
//	                  └──▶ simulation of another policy   ──▶ outcome ─┴─▶ Report
//
// Each outcome is compared with the verdict in the capture and with the outcome of the
// first policy. Nothing is sent, and the clock only times the policies: the same capture
// gives the same report. What a capture does not determine is reported as unknown, and
// never guessed: see unknown.go.
package replay

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/proxy/capture"
)

// A Policy is one to be run. Its owner closes it.
type Policy struct {
	Name   string
	SHA256 string // of its file, in hex
	policy.Policy
}

// ErrTenant is the error if no tenant is named and the capture has several, or if the
// named one is not in the capture.
var ErrTenant = errors.New("which tenant is to be replayed")

// Run replays the records of one tenant. The name may be empty if the capture has only
// one. If the capture is damaged, Run returns an error together with the report on what
// is before the damage, which is nil if there is nothing.
func Run(in *capture.Reader, tenant string, policies ...Policy) (*Report, error) {
	r := &run{in: in, tenant: tenant, report: newReport(), number: -1}
	for _, p := range policies {
		s := newSimulation(p)
		defer s.close()
		r.simulations = append(r.simulations, s)
	}
	err := r.read()
	if err != nil && (errors.Is(err, ErrTenant) || r.interfaces == 0) {
		return nil, err
	}
	r.finish()
	return r.report, err
}

// A run is a replay in progress.
type run struct {
	in          *capture.Reader
	tenant      string
	report      *Report
	simulations []*simulation
	interfaces  int    // how many the capture had when checkTenant looked for the tenant
	number      int    // the interface of the previous record, or -1
	padded      []byte // scratch of apply
}

// read applies the records one by one. Their memory is that of one record, however long the
// capture is; what grows are the peers and the counts, which have limits of their own.
func (r *run) read() error {
	for {
		rec, err := r.in.Next()
		if err == io.EOF {
			return r.checkTenant()
		}
		if err != nil {
			return err
		}
		if err := r.checkTenant(); err != nil {
			return err
		}
		t := &r.in.Tenants()[rec.Tenant]
		if r.tenant != "" && t.Name != r.tenant {
			continue
		}
		if rec.Tenant != r.number {
			r.begin(rec.Tenant, t)
		}
		if err := r.apply(rec, t); err != nil {
			return &capture.FormatError{Offset: r.in.Offset(), Err: err}
		}
	}
}

// checkTenant checks that the tenant is in the capture, and is named if there are others.
// It does so again for every interface that is added to the capture.
func (r *run) checkTenant() error {
	if r.interfaces == len(r.in.Tenants()) && r.interfaces > 0 {
		return nil
	}
	var names []string
	for _, t := range r.in.Tenants() {
		names = append(names, t.Name)
	}
	r.interfaces = len(names)
	slices.Sort(names)
	names = slices.Compact(names)
	switch {
	case len(names) == 0:
		return &capture.FormatError{Offset: r.in.Offset(), Err: errors.New("no tenant was recorded")}
	case r.tenant == "" && len(names) > 1:
		return fmt.Errorf("%w: the capture has %s", ErrTenant, strings.Join(names, ", "))
	case r.tenant != "" && !slices.Contains(names, r.tenant):
		return fmt.Errorf("%w: the capture has no %q, but %s", ErrTenant, r.tenant, strings.Join(names, ", "))
	}
	return nil
}

// begin starts a capture: the first one, or one that was appended to the file and whose
// session numbers mean other sessions.
func (r *run) begin(number int, t *capture.Tenant) {
	r.number = number
	r.report.begin(t)
	for _, s := range r.simulations {
		s.begin(t)
	}
}

// apply applies a record to the simulation of every policy.
func (r *run) apply(rec *capture.Record, t *capture.Tenant) error {
	r.report.count(rec)
	p := rec.PDU
	if rec.Kind == capture.PDU && !rec.Whole() {
		if rec.Length > pdu.DefaultMaxLen {
			return fmt.Errorf("a PDU of %d bytes, of which only %d were kept; replay takes up to %d", rec.Length, len(p), pdu.DefaultMaxLen)
		}
		r.padded = append(append(r.padded[:0], p...), make([]byte, rec.Length-len(p))...)
		p = r.padded
	}
	for _, s := range r.simulations {
		if err := s.apply(rec, t, p); err != nil {
			return err
		}
	}
	if rec.Kind == capture.PDU && !rec.Known {
		r.compare(rec)
	}
	return nil
}

// compare counts the policies whose outcome differs from the capture's, and from that of
// the first policy.
func (r *run) compare(rec *capture.Record) {
	h := pdu.ParseHeader(rec.PDU)
	first := &r.simulations[0].last
	for _, s := range r.simulations {
		c, last := s.result.command(ids{h.Service, h.Command}), &s.last
		if last.certainty == routed && first.certainty == routed {
			c.common.pdus++
			c.common.copiesFirst += first.copies
			c.common.copies += last.copies
			c.common.sentFirst += first.bytes
			c.common.sent += last.bytes
		}
		if last.certainty == undecided {
			continue
		}
		if last.verdict != comparable(rec.Verdict) || last.fault != rec.Fault {
			c.FromRecorded.add(verdictText(rec.Verdict, rec.Fault), verdictText(last.verdict, last.fault))
		}
		if first.certainty >= decided && (last.verdict != first.verdict || last.fault != first.fault) {
			c.FromFirst.add(verdictText(first.verdict, first.fault), verdictText(last.verdict, last.fault))
		}
	}
}

// verdictText returns a verdict as text, with the fault because of which it applies.
func verdictText(v policy.Verdict, fault policy.FaultKind) string {
	if fault == "" {
		return v.String()
	}
	return v.String() + " by " + string(fault)
}

// finish completes the report when all records were applied.
func (r *run) finish() {
	for i, t := range r.in.Tenants() {
		if r.tenant == "" || t.Name == r.tenant {
			r.report.Tenant, r.report.Bodies = t.Name, t.Bodies
			r.report.statistics(r.in.Statistics(i))
		}
	}
	for _, s := range r.simulations {
		s.finish()
		r.report.Policies = append(r.report.Policies, s.result)
	}
}
