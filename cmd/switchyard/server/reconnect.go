package server

import (
	"slices"

	"switchyard/policy"
	"switchyard/policy/release"
	"switchyard/policy/release/history"
	"switchyard/proxy/admin"
)

// What a policy made of the peers' announcements of users stays in the user table when the policy
// goes. Peers announce their users once per connection, so a rollback or a kill does not correct
// that; only a new connection of the peer does.
//
//	markOutdated   the sessions that the previous policy has seen are counted and shown as outdated
//	reconnect      they are closed, one per second, so that no flood of announcements follows

// markOutdated marks the tenant's peers as outdated, and logs that they should reconnect.
func (srv *server) markOutdated(tenant string, s *served) {
	s.tenant.MarkOutdated()
	if peers, _ := s.tenant.Outdated(); peers > 0 {
		srv.log.Warn("the previous policy handled presence differently; let peers reconnect with 'switchyard policy rollback --reconnect'", "tenant", tenant, "peers", peers)
	}
}

// reconnect begins to close the outdated peers, or all if none is known to be outdated, so that they
// reconnect.
func (srv *server) reconnect(s *served, v admin.Verb) {
	if peers, _ := s.tenant.Outdated(); peers == 0 {
		s.tenant.MarkOutdated()
	}
	peers, _ := s.tenant.Outdated()
	srv.log.Info("peers are closed so that they reconnect, one per second", "tenant", v.Tenant, "peers", peers, "by", v.By, "reason", v.Reason)
	s.tenant.EndOutdated()
}

// isRolledBack reports whether the policy in force is there because of a rollback or a kill, also in
// an earlier process. Then a rollback that asks peers to reconnect goes back no further.
func isRolledBack(s *served, was history.Tenant) bool {
	peers, ending := s.tenant.Outdated()
	return was.Returned || was.Killed || s.policy.isHeldBack() || peers > 0 && !ending
}

// hasChangedPresence reports whether the policy before the one in force handles other commands as
// changes of presence, by their verdicts by ids.
func (s *served) hasChangedPresence() bool {
	now := s.active.Acquire()
	defer now.Release()
	return len(release.Compare(s.before.generation, now).Presence) > 0
}

// hasChangedPresence reports whether the candidate was obeyed about a PDU that only one of the two
// policies handles as a change of presence. It needs release.presence or release.accept for that.
func (r *staged) hasChangedPresence() bool {
	counts, accept := r.ownCounts(policy.Weighed{}), r.split.Rules().Accept
	return slices.ContainsFunc(counts.Commands, func(w policy.CommandWeights) bool {
		return w.Presence > 0 && w.Side[1] > 0 && accept[w.Command]
	})
}
