package proxy

import "switchyard/proxy/hub"

// A peer announces its users once per connection. After a rollback of a policy that handled these
// announcements otherwise, the user table has what that policy made of them, until the peers
// reconnect and announce their users to the policy in force:
//
//	MarkOutdated     the open sessions are outdated
//	EndOutdated      each tick ends one of them; msg_servers reconnect by themselves
//	ForgetOutdated   the next policy came before anybody asked for that
//
// A session that opens later is not outdated.

// MarkOutdated marks all open sessions as outdated. Call it once the other policy is in force.
func (t *Tenant) MarkOutdated() {
	for _, s := range *t.sessions.Load() {
		s.outdated.Store(true)
	}
}

// ForgetOutdated makes no session outdated, unless the tenant ends those that are.
func (t *Tenant) ForgetOutdated() {
	if t.endsOutdated.Load() {
		return
	}
	for _, s := range *t.sessions.Load() {
		s.outdated.Store(false)
	}
}

// Outdated returns how many open sessions are outdated, and whether the tenant ends them.
func (t *Tenant) Outdated() (sessions int, ending bool) {
	for _, s := range *t.sessions.Load() {
		if s.outdated.Load() {
			sessions++
		}
	}
	return sessions, sessions > 0 && t.endsOutdated.Load()
}

// EndOutdated begins to end the outdated sessions gracefully, one per second so that not all peers
// reconnect at once. It does not wait for that.
func (t *Tenant) EndOutdated() { t.endsOutdated.Store(true) }

// endOneOutdated ends the oldest outdated session that is not ending already, if the tenant is to.
func (t *Tenant) endOneOutdated() {
	if !t.endsOutdated.Load() {
		return
	}
	for _, s := range *t.sessions.Load() {
		if s.outdated.Load() && s.asked.Load() == nil && s.reason.Load() == nil {
			s.askToEnd(hub.RolledBack)
			return
		}
	}
	t.endsOutdated.Store(false)
}
