package server

import (
	"fmt"
	"slices"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/wasm"
	"switchyard/proxy/config"
	"switchyard/proxy/hub"
)

// An auditState is the policy that is audited for a tenant: it is asked about the tenant's PDUs,
// and its answers are counted, not obeyed.
type auditState struct {
	policy candidate // without a name: none is audited
	engine *wasm.Engine
	beside candidate // the policy in force that it is compared with
}

// reloadAudit updates the tenant's audit to the configuration. It runs after reloadPolicy, as
// the audit compares with the policy in force. A refused policy changes nothing.
func (srv *server) reloadAudit(t config.Tenant, s *served, requested bool) {
	changed, err := srv.setAudit(t, s)
	if requested && !changed {
		srv.logAudit(t.Name, s)
	}
	srv.reportOnce("audit refused; nothing changed", "audit of tenant "+t.Name, err, requested)
}

// setAudit begins, ends or exchanges a tenant's audit, if the configuration differs from it. If
// another policy is in force, the audit begins anew, and its counts with it.
func (srv *server) setAudit(t config.Tenant, s *served) (changed bool, err error) {
	found, err := findAudit(srv.checker, t)
	if err != nil {
		return false, err
	}
	next := auditState{policy: found}
	if found.Name != "" {
		next.engine, next.beside = srv.engine(), s.policy
	}
	if next.policy.same(s.audit.policy) && next.engine == s.audit.engine && next.beside.same(s.audit.beside) {
		return false, nil
	}
	var g *policy.Generation
	if found.Name != "" {
		if g, err = srv.loadPolicy(next.engine, found); err != nil {
			return false, err
		}
	}
	srv.endAudit(t.Name, s)
	s.audit = next
	if g != nil {
		s.tenant.SetAudit(g)
		srv.log.Info("audit begins", slices.Concat([]any{"tenant", t.Name, "audited", found.Name}, found.sums(), []any{"policy", s.policy.Name, "routes", Summary(g)})...)
	}
	return true, nil
}

// endAudit ends a tenant's audit, if there is one, and logs its counts.
func (srv *server) endAudit(tenant string, s *served) {
	if s.audit.policy.Name == "" {
		return
	}
	srv.logAudit(tenant, s)
	s.tenant.SetAudit(nil)
	srv.log.Info("audit ends", "tenant", tenant, "audited", s.audit.policy.Name)
	s.audit = auditState{}
}

// logAudit logs what the audited policy would have done, for each command with traffic and in
// all.
func (srv *server) logAudit(tenant string, s *served) {
	if s.audit.policy.Name == "" {
		return
	}
	var all hub.AuditRow
	for _, r := range s.tenant.Hub().Audit() {
		all.Add(r)
		if r.Sent.PDUs+r.Audited.PDUs+r.Faults > 0 {
			attrs := []any{"tenant", tenant, "audited", s.audit.policy.Name, "command", nameOf(r.Command)}
			srv.log.Info("audit", append(attrs, figures(r)...)...)
		}
	}
	attrs := append([]any{"tenant", tenant, "audited", s.audit.policy.Name}, figures(all)...)
	srv.log.Info("audit in all", append(attrs, "copies_saved", percentSaved(all.Sent.PDUs, all.Audited.PDUs),
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

// percentSaved returns how much less the audited policy sends; it is negative if that sends
// more.
func percentSaved(now, audited uint64) string {
	if now == 0 {
		return "0.0 %"
	}
	return fmt.Sprintf("%.1f %%", 100*(float64(now)-float64(audited))/float64(now))
}
