package server

import (
	"fmt"
	"slices"

	"switchyard/policy"
	"switchyard/policy/wasm"
	"switchyard/proxy/config"
	"switchyard/proxy/hub"
)

// An auditState is the policy that is audited for a tenant: it is asked about the tenant's PDUs, and
// its answers are counted, not obeyed. Operators try a policy on real traffic this way, without the
// risk of a release.
type auditState struct {
	policy candidate // without a name: none is audited
	engine *wasm.Engine
	beside candidate // the policy in force that it is compared with
}

// reloadAudit begins, ends or exchanges a tenant's audit, if the configuration differs from it. If
// another policy is in force, the audit begins again, and its counts with it. While a policy for
// the tenant is being loaded it waits for that, as the audit compares with the policy in force. A
// refused policy changes nothing.
func (srv *server) reloadAudit(t config.Tenant, s *served, requested bool) {
	if s.next != nil {
		return // swapPolicy calls it again
	}
	read := srv.readingPolicy(t.Audit)
	found, err := findAudit(srv.checker, t)
	read()
	if err == nil && s.nextAudit.joins(found, srv.engine, requested) {
		return
	}
	s.nextAudit.drop()
	s.nextAudit = nil
	switch {
	case err != nil:
		srv.refuseAudit(t.Name, s, err, requested)
		return
	case found.Name != "" && !s.audit.is(found, srv.engine, s.policy):
		s.nextAudit = srv.begin(srv.engine, found, requested, func(l *load) { srv.swapAudit(t.Name, s, l) })
		return
	case found.Name == "":
		srv.endAudit(t.Name, s)
	case requested:
		srv.logAudit(t.Name, s)
	}
	about := "audit of tenant " + t.Name
	if srv.lastErrors[about] != "" {
		srv.log.Info("the refused audit is gone", "tenant", t.Name)
	}
	srv.reportOnce("", about, nil, false)
}

// is reports whether that policy is audited, beside that policy in force.
func (a auditState) is(found candidate, e *wasm.Engine, beside candidate) bool {
	return found.same(a.policy) && e == a.engine && beside.same(a.beside)
}

// refuseAudit reports that the policy which is to be audited is refused.
func (srv *server) refuseAudit(tenant string, s *served, err error, requested bool) {
	if requested {
		srv.logAudit(tenant, s)
	}
	srv.reportOnce("audit refused; nothing changed", "audit of tenant "+tenant, err, requested)
}

// swapAudit audits a policy that was loaded for that.
func (srv *server) swapAudit(tenant string, s *served, l *load) {
	s.nextAudit = nil
	if l.err != nil {
		srv.refuseAudit(tenant, s, l.err, l.requested)
		return
	}
	srv.endAudit(tenant, s)
	srv.beginAudit(tenant, s, l)
	srv.reportOnce("", "audit of tenant "+tenant, nil, false)
}

// beginAudit audits a policy that was loaded for that, where none is audited.
func (srv *server) beginAudit(tenant string, s *served, l *load) {
	s.audit = auditState{policy: l.candidate, engine: l.engine, beside: s.policy}
	g := l.take()
	routes := Summary(g)
	s.tenant.SetAudit(g)
	srv.log.Info("audit begins", slices.Concat([]any{"tenant", tenant, "audited", l.candidate.Name}, l.candidate.sums(), []any{"policy", s.policy.Name, "routes", routes})...)
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

// logAudit logs what the audited policy would have done, for each command with traffic and in all. It
// is called when the audit ends, as the counts end with it, and when an operator reloads.
func (srv *server) logAudit(tenant string, s *served) {
	if s.audit.policy.Name == "" {
		return
	}
	var all hub.AuditRow
	for _, r := range s.tenant.Hub().Audit() {
		all.Add(r)
		if r.Sent.PDUs+r.Audited.PDUs+r.Faults > 0 {
			attrs := []any{"tenant", tenant, "audited", s.audit.policy.Name, "command", policy.CommandName(r.Command)}
			srv.log.Info("audit", append(attrs, figures(r)...)...)
		}
	}
	attrs := append([]any{"tenant", tenant, "audited", s.audit.policy.Name}, figures(all)...)
	srv.log.Info("audit totals", append(attrs, "copies_saved", percentSaved(all.Sent.PDUs, all.Audited.PDUs),
		"bytes_saved", percentSaved(all.Sent.Bytes, all.Audited.Bytes))...)
}

// figures returns the log's attributes for one row. useless are copies that the policy in force sends
// and the audited one does not; missed are those that only the audited one would send.
func figures(r hub.AuditRow) []any {
	return []any{"pdus", r.PDUs, "copies", r.Sent.PDUs, "bytes", r.Sent.Bytes, "audited_copies", r.Audited.PDUs, "audited_bytes", r.Audited.Bytes,
		"useless", r.Useless.PDUs, "missed", r.Missed.PDUs, "faults", r.Faults}
}

// percentSaved returns how much less the audited policy sends; it is negative if that sends
// more.
func percentSaved(now, audited uint64) string {
	if now == 0 {
		return "0.0 %"
	}
	return fmt.Sprintf("%.1f %%", 100*(float64(now)-float64(audited))/float64(now))
}
