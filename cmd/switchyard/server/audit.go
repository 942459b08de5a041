package server

import (
	"fmt"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/wasm"
	"switchyard/proxy/config"
	"switchyard/proxy/hub"
)

// An auditing is a policy that a tenant's PDUs are shown to as well, and not routed
// by.
type auditing struct {
	policy candidate // without a name: none is audited
	engine *wasm.Engine
	beside candidate // the policy in force that it is compared with
}

// reloadAudit audits what the configuration says, once the tenant's policy is in
// force. What is refused changes nothing.
func (y *yard) reloadAudit(t config.Tenant, s *served, asked bool) {
	changed, err := y.setAudit(t, s)
	if asked && !changed {
		y.logAudit(t.Name, s)
	}
	y.complain("audit refused; nothing changed", "audit of tenant "+t.Name, err, asked)
}

// setAudit begins, ends or exchanges a tenant's audit, if it is to be another than it
// is. The figures begin anew also with another policy in force.
func (y *yard) setAudit(t config.Tenant, s *served) (changed bool, err error) {
	found, err := findAudit(y.checker, t)
	if err != nil {
		return false, err
	}
	next := auditing{policy: found}
	if found.Name != "" {
		next.engine, next.beside = y.engine(), s.policy
	}
	if next.policy.same(s.audit.policy) && next.engine == s.audit.engine && next.beside.same(s.audit.beside) {
		return false, nil
	}
	var g *policy.Generation
	if found.Name != "" {
		if g, err = loadPolicy(next.engine, found); err != nil {
			return false, err
		}
	}
	y.endAudit(t.Name, s)
	s.audit = next
	if g != nil {
		s.tenant.SetAudit(g)
		y.log.Info("audit begins", "tenant", t.Name, "audited", found.Name, "sha256", found.SHA256, "policy", s.policy.Name, "routes", Summary(g))
	}
	return true, nil
}

// endAudit ends a tenant's audit, if there is one, with its figures.
func (y *yard) endAudit(tenant string, s *served) {
	if s.audit.policy.Name == "" {
		return
	}
	y.logAudit(tenant, s)
	s.tenant.SetAudit(nil)
	y.log.Info("audit ends", "tenant", tenant, "audited", s.audit.policy.Name)
	s.audit = auditing{}
}

// logAudit says what the audited policy would have done, for each command that
// something was sent of, and in all.
func (y *yard) logAudit(tenant string, s *served) {
	if s.audit.policy.Name == "" {
		return
	}
	var all hub.AuditRow
	for _, r := range s.tenant.Hub().Audit() {
		all.Add(r)
		if r.Sent.PDUs+r.Audited.PDUs+r.Faults > 0 {
			attrs := []any{"tenant", tenant, "audited", s.audit.policy.Name, "command", nameOf(r.Command)}
			y.log.Info("audit", append(attrs, figures(r)...)...)
		}
	}
	attrs := append([]any{"tenant", tenant, "audited", s.audit.policy.Name}, figures(all)...)
	y.log.Info("audit in all", append(attrs, "copies_saved", percentSaved(all.Sent.PDUs, all.Audited.PDUs),
		"bytes_saved", percentSaved(all.Sent.Bytes, all.Audited.Bytes))...)
}

func figures(r hub.AuditRow) []any {
	return []any{"pdus", r.PDUs, "copies", r.Sent.PDUs, "bytes", r.Sent.Bytes, "audited_copies", r.Audited.PDUs, "audited_bytes", r.Audited.Bytes,
		"useless", r.Useless.PDUs, "missed", r.Missed.PDUs, "faults", r.Faults}
}

func nameOf(c pdu.CommandID) string {
	if c == 0 {
		return "unknown"
	}
	return c.String()
}

// percentSaved says how much less the audited policy sends: below zero, it sends more.
func percentSaved(now, audited uint64) string {
	if now == 0 {
		return "0.0 %"
	}
	return fmt.Sprintf("%.1f %%", 100*(float64(now)-float64(audited))/float64(now))
}
