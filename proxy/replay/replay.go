// Package replay runs policies over a capture and says what would change. Every
// policy gets a hub of its own, the real one, with peers that only count; nothing is
// sent, and no clock is read but to measure: the same capture gives the same report.
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
	SHA256 string // of its module, in hex
	policy.Policy
}

// ErrTenant is the error for a capture of several tenants if none is named, and for
// one without the tenant that is.
var ErrTenant = errors.New("which tenant is to be replayed")

// Run replays what the capture has of one tenant, which may be left empty if there
// is only one. With an error of the capture comes the report on what is before it,
// if there is anything.
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

// A run is a replay under way.
type run struct {
	in          *capture.Reader
	tenant      string
	report      *Report
	simulations []*simulation
	interfaces  int // how many there were when the tenant was looked for
	number      int // of the interface of the record before, or -1
	padded      []byte
}

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
		if err := r.take(rec, t); err != nil {
			return &capture.FormatError{Offset: r.in.Offset(), Err: err}
		}
	}
}

// checkTenant wants the tenant to be in the capture, and to be named if there are
// others.
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

// begin begins a capture: the first, or one that was joined to it and whose
// sessions are others.
func (r *run) begin(number int, t *capture.Tenant) {
	r.number = number
	r.report.about(t)
	for _, s := range r.simulations {
		s.begin(t)
	}
}

// take takes a record to every policy.
func (r *run) take(rec *capture.Record, t *capture.Tenant) error {
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
		if err := s.take(rec, t, p); err != nil {
			return err
		}
	}
	if rec.Kind == capture.PDU && !rec.Known {
		r.compare(rec)
	}
	return nil
}

// compare notes whose verdict differs from the capture's, and from that of the
// first policy.
func (r *run) compare(rec *capture.Record) {
	h := pdu.ParseHeader(rec.PDU)
	first := &r.simulations[0].last
	for _, s := range r.simulations {
		c, last := s.result.command(ids{h.Service, h.Command}), &s.last
		if last.routed && first.routed {
			c.common.pdus++
			c.common.copiesFirst += first.copies
			c.common.copies += last.copies
			c.common.sentFirst += first.bytes
			c.common.sent += last.bytes
		}
		if !last.decided {
			continue
		}
		if last.verdict != rec.Verdict || last.fault != rec.Fault {
			c.FromRecorded.add(told(rec.Verdict, rec.Fault), told(last.verdict, last.fault))
		}
		if first.decided && (last.verdict != first.verdict || last.fault != first.fault) {
			c.FromFirst.add(told(first.verdict, first.fault), told(last.verdict, last.fault))
		}
	}
}

// told spells a verdict with the fault that it comes with.
func told(v policy.Verdict, fault policy.FaultKind) string {
	if fault == "" {
		return v.String()
	}
	return v.String() + " by " + string(fault)
}

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
