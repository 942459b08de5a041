package server

import (
	"fmt"
	"path/filepath"

	"switchyard/cmd/switchyard/trust"
	"switchyard/plugins/source"
	"switchyard/plugins/teamtalk"
	"switchyard/policy/release/history"
	"switchyard/proxy/config"
)

// Which policy belongs in force: the one that the configuration names, unless the history says that an
// operator wants another one.

// Why the policy in force is not the one that belongs there.
const (
	driftRolledBack = "rolled-back" // the one that the configuration names was rolled back
	driftKilled     = "killed"      // the one that the configuration names was killed
	driftLost       = "lost"        // it is the one that the configuration names, and the one to compare it with was lost
)

// isHeldBack reports whether the policy is in force instead of the one that the configuration names.
func (c *candidate) isHeldBack() bool { return c.drift == driftRolledBack || c.drift == driftKilled }

// findWanted finds the policy that belongs in force for a tenant that is not served yet.
func (srv *server) findWanted(checker *trust.Checker, t config.Tenant) (candidate, error) {
	return srv.wanted(checker, t, nil)
}

// wanted finds the policy that belongs in force for a tenant: the one that the configuration names,
// unless that was rolled back or killed. s is nil for a tenant that is not served yet. The first
// that applies decides:
//
//	killed                                           the shipped policy
//	at the start or after a kill, in stages, and     the one that was in force; the release
//	the configuration names another                  of the other begins after that
//	the configuration's policy was not rolled back   that, or why it cannot be read
//	what was in force is still loaded                that
//	its file is kept by the history                  that
//	else, at the start                               the configuration's, with an error in the log
func (srv *server) wanted(checker *trust.Checker, t config.Tenant, s *served) (candidate, error) {
	was := srv.records.State(t.Name)
	if was.Killed {
		return shippedPolicy(t)
	}
	found, err := findPolicy(checker, t)
	if isUnreached(err) {
		found, err = srv.kept(checker, t, s, was, err)
	}
	record, _ := recordOf(found)
	// In stages, another policy than the last one must be compared with that, so that comes into
	// force first.
	if err == nil && isOutOfForce(s) && was.InForce != nil && !record.Same(was.InForce) && !atOnce(t) {
		stable, gone := srv.earlier(checker, t, was.InForce)
		if gone == nil {
			stable.drift, stable.kept = "", found.kept
			if was.Lost {
				stable.drift = driftLost
			}
			return stable, nil // the release begins, or continues, when that is in force
		}
		if !was.Holds(&record) {
			found.drift = driftLost
			srv.log.Error("the policy in force is gone from releases.state; the configured one comes into force without a release", "tenant", t.Name, "policy", t.Policy, "error", gone)
		}
	}
	if err == nil && (was.Lost && record.Same(was.InForce) || s == nil && srv.hasLost(was, t)) {
		found.drift = driftLost
	}
	// From here on, what the configuration names was rolled back.
	if err != nil || !was.Holds(&record) || was.InForce == nil {
		return found, err
	}
	if s != nil {
		if now, _ := recordOf(s.policy); now.Same(was.InForce) {
			want := s.policy
			want.effects, want.may, want.groups, want.drift = found.effects, found.may, found.groups, driftRolledBack
			return want, nil
		}
	}
	want, err := srv.earlier(checker, t, was.InForce)
	if err != nil && s == nil {
		srv.log.Error("the policy before a rollback is gone; the one that was rolled back comes into force", "tenant", t.Name, "policy", t.Policy, "error", err)
		found.drift = driftLost
		return found, nil
	}
	return want, err
}

// hasLost reports whether the tenant may have had a policy in force of which a damaged history says
// nothing now.
func (srv *server) hasLost(was history.Tenant, t config.Tenant) bool {
	return was.InForce == nil && !atOnce(t) && srv.records.Position().Damaged != nil
}

// isOutOfForce reports whether no policy of the tenant's own is in force: at the start and after a
// kill.
func isOutOfForce(s *served) bool { return s == nil || s.policy.drift == driftKilled }

// isWanted reports whether a policy that wanted returned before it was loaded still belongs in
// force.
func (srv *server) isWanted(tenant string, c candidate) bool {
	was := srv.records.State(tenant)
	record, _ := recordOf(c)
	switch {
	case was.Killed || c.drift == driftKilled:
		return was.Killed && c.drift == driftKilled
	case c.drift == driftRolledBack:
		return record.Same(was.InForce)
	}
	return !was.Holds(&record)
}

// shippedPolicy returns the policy that routes as the original does, for a kill. It is part of the
// program, so a kill needs neither a file nor an address nor the history.
func shippedPolicy(t config.Tenant) (candidate, error) {
	c, err := limited(t)
	if err != nil {
		return candidate{}, err
	}
	c.drift = driftKilled
	f, err := source.Read(teamtalk.Name, "", 0)
	if err == nil {
		c.Module, err = f.Module()
	}
	return c, err
}

// earlier returns a policy that was in force before, from the history's files.
func (srv *server) earlier(checker *trust.Checker, t config.Tenant, p *history.Policy) (candidate, error) {
	c, err := limited(t)
	if err != nil {
		return candidate{}, err
	}
	c.drift = driftRolledBack
	f, signature, err := srv.earlierFiles(p)
	if err != nil {
		return candidate{}, err
	}
	if p.Config != "" {
		if c.config, err = srv.records.Content(p.Config); err != nil {
			return candidate{}, fmt.Errorf("configuration of policy %s: %w", p.Short(), err)
		}
	}
	c.Module, c.proof, err = checker.Earlier(f, signature, p.Version, t)
	return c, err
}

// earlierFiles returns the file of a policy that was in force before, and its signature, which may be
// nil. Both are checked against their SHA-256 when they are read.
func (srv *server) earlierFiles(p *history.Policy) (f source.File, signature []byte, err error) {
	if f, err = srv.earlierFile(p); err != nil {
		return f, nil, fmt.Errorf("policy %s: %w", p.Short(), err)
	}
	if p.Signature != "" {
		if signature, err = srv.records.Content(p.Signature); err != nil {
			return f, nil, fmt.Errorf("signature of policy %s: %w", p.Short(), err)
		}
	}
	return f, signature, nil
}

// earlierFile returns the file of a policy that was in force before. A shipped policy is a file as
// any other if this program has another of its name.
func (srv *server) earlierFile(p *history.Policy) (source.File, error) {
	path, isFile := srv.config.PolicyFile(p.Name)
	if !isFile {
		if f, err := source.Read(p.Name, "", 0); err == nil && f.SHA256 == p.SHA256 {
			return f, nil
		}
		path = filepath.Base(p.Name) + ".wasm"
	}
	content, err := srv.records.Content(p.SHA256)
	if source.IsRemote(p.Name) {
		f := source.Remote(p.Name, content)
		f.Revision = p.Revision
		return f, err
	}
	return source.File{Name: p.Name, Path: path, Bytes: content, SHA256: p.SHA256}, err
}
