package metrics

import (
	"maps"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/release"
	"switchyard/proxy/admission"
	"switchyard/proxy/hub"
)

// Each function below emits the families of one subject, which families.go defines. Values are read
// from one State, which is taken once for each scrape, so that the sums of a tenant add up.

// An emitFunc takes a value of a family, and the values of its labels in their order.
type emitFunc func(f *family, value float64, labels ...string)

// emit emits what concerns the whole server.
func (s *State) emit(emit emitFunc) {
	emit(buildInfo, 1, s.Build.Version, s.Build.Revision, s.Build.Go, s.Build.Wazero)
	emit(draining, oneIf(s.Draining))
	emit(linesLost, float64(s.LinesLost))
	emit(accessLost, float64(s.AccessLost))
	emit(historyEntries, float64(s.History.Entries))
	emit(historyUnsaved, float64(s.History.Unsaved))
	emit(historyIntact, oneIf(s.History.Intact))
	emit(configReloads, float64(s.Reloads.Done), "done")
	emit(configReloads, float64(s.Reloads.Refused), "refused")
	emit(configSuccessful, oneIf(!s.Reloads.LastRefused))
	emit(configSuccessTime, seconds(s.Reloads.LastDone))
	s.Handovers.emit(emit)
}

// emit emits the upgrades. The new process continues the counts, so they do not fall with an upgrade.
func (h *Handovers) emit(emit emitFunc) {
	emit(handovers, float64(h.Done), "done")
	emit(handovers, float64(h.Failed), "failed")
	emit(handoverSeconds, h.Frozen.Seconds())
	emit(handoverSessions, float64(h.Moved), "moved")
	emit(handoverSessions, float64(h.Drained), "drained")
	emit(handoverSessions, float64(h.Closed), "closed")
}

// emit emits what concerns one tenant, with its name as the first label.
func (t *Tenant) emit(emit emitFunc) {
	t.emitConnections(emit)
	t.emitReceived(emit)
	t.emitSent(emit)
	t.emitPolicy(emit)
	emit(users, float64(t.Users), t.Name)
	emit(entries, float64(t.Entries), t.Name)
	if t.Member != nil {
		t.emitCluster(emit)
	}
}

// emitConnections emits the peers that are connected, and why others have been closed.
func (t *Tenant) emitConnections(emit emitFunc) {
	emit(connections, float64(t.Counts.Sessions), t.Name)
	emit(connectionsLimit, float64(t.Connections), t.Name)
	emit(connectionsPaused, float64(t.Paused), t.Name)
	emit(connectionsOpened, float64(t.Counts.Joined), t.Name)
	for why, n := range withZeros(t.Counts.Closed, closings) {
		emit(connectionsClosed, float64(n), t.Name, string(why))
	}
}

// emitReceived emits what came from peers and what became of it, and what the hub made itself.
func (t *Tenant) emitReceived(emit emitFunc) {
	emit(pdusReceived, float64(t.Counts.Received), t.Name)
	emit(bytesReceived, float64(t.Counts.BytesIn), t.Name)
	for action, n := range t.Counts.Actions {
		emit(pdusAccepted, float64(n), t.Name, action.String())
	}
	for why, n := range withZeros(t.Counts.Dropped, drops) {
		emit(pdusDropped, float64(n), t.Name, string(why))
	}
	for _, c := range t.Commands {
		command := nameOf(c.Command)
		emit(bytesBy, float64(c.Bytes), t.Name, command)
		for action, n := range c.Actions {
			emit(pdusByAction, float64(n), t.Name, command, action.String())
		}
	}
	emit(pdusMade, float64(t.Counts.Made), t.Name)
	for why, n := range withZeros(t.Counts.Slowed, t.slowings()) {
		emit(slowed, float64(n), t.Name, string(why))
		emit(slowedSeconds, t.Counts.SlowedTime[why].Seconds(), t.Name, string(why))
	}
}

// slowings are the reasons for slowing senders that the tenant can have.
func (t *Tenant) slowings() []hub.Reason {
	if t.Member != nil {
		return append([]hub.Reason{hub.OrderFull}, slowings...)
	}
	return slowings
}

// emitSent emits copies to peers. Due is the sum of delivered, pending and discarded.
func (t *Tenant) emitSent(emit emitFunc) {
	emit(copiesDue, float64(t.Counts.Due), t.Name)
	emit(copiesDelivered, float64(t.Counts.Delivered), t.Name)
	emit(copiesPending, float64(t.Counts.Pending), t.Name)
	for why, n := range t.Counts.Discarded {
		emit(copiesDiscarded, float64(n), t.Name, string(why))
	}
	for g, n := range t.Groups {
		emit(groupPeers, float64(n.Peers), t.Name, g.String())
		emit(groupCopies, float64(n.Copies), t.Name, g.String())
	}
	emit(bytesSent, float64(t.Counts.BytesOut), t.Name)
	emit(lagMax, float64(t.Counts.Lag), t.Name)
	emit(lagSum, float64(t.Counts.Lags), t.Name)
	emit(logBytes, float64(t.Log), t.Name)
	emit(logLimit, float64(t.LogLimit), t.Name)
	emit(probeSeconds, t.ProbeSeconds, t.Name)
}

// emitPolicy emits the policy in force, its reloads, its release and its faults. Series that concern a
// release under way are there without one as well, as 0, so that an alert on them needs no case for
// their absence. The expiry of a signature is there only if there is a signature.
func (t *Tenant) emitPolicy(emit emitFunc) {
	emit(policyInfo, 1, t.Name, t.Policy, t.SHA256)
	emit(policyReloads, float64(t.Swapped), t.Name, "in-force")
	emit(policyReloads, float64(t.Refused), t.Name, "refused")
	emit(policyRefused, oneIf(t.PolicyRefused), t.Name)
	emit(releaseDrift, oneIf(t.Drift), t.Name)
	emit(policyKilled, oneIf(t.Killed), t.Name)
	for i, of := range []string{"wanted", "units", "pdus"} {
		emit(releaseShare, t.ReleaseShare[i], t.Name, of)
	}
	emit(releasePaused, t.ReleasePaused.Seconds(), t.Name)
	t.emitRelease(emit)
	for result, n := range withZeros(t.Releases, results) {
		emit(releasesEnded, float64(n), t.Name, result)
	}
	emit(auditRefused, oneIf(t.AuditRefused), t.Name)
	t.emitAudit(emit)
	emit(policyLoad, t.LoadSeconds, t.Name)
	for _, kind := range policy.FaultKinds { // from 0 on, so that the first one counts as an increase
		emit(policyFaults, float64(t.Faults[kind]), t.Name, string(kind))
	}
	if t.Remote {
		reached := 0.0
		if !t.SourceReached.IsZero() {
			reached = seconds(t.SourceReached)
		}
		emit(sourceReached, reached, t.Name)
	}
	if !t.SignatureUntil.IsZero() {
		emit(signatureUntil, seconds(t.SignatureUntil), t.Name)
	}
}

// emitAudit emits what the audited policy would have done. Without an audit there are no series.
func (t *Tenant) emitAudit(emit emitFunc) {
	if t.Audit == nil {
		return
	}
	faults := uint64(0)
	for _, r := range t.Audit {
		faults += r.Faults
		if r.PDUs == 0 {
			continue
		}
		command := nameOf(r.Command)
		emit(auditPDUs, float64(r.PDUs), t.Name, command)
		emit(auditCopies, float64(r.Sent.PDUs), t.Name, command, "sent")
		emit(auditCopies, float64(r.Audited.PDUs), t.Name, command, "audited")
		emit(auditCopies, float64(r.Useless.PDUs), t.Name, command, "useless")
		emit(auditCopies, float64(r.Missed.PDUs), t.Name, command, "missed")
	}
	emit(auditFaults, float64(faults), t.Name)
}

// nameOf returns the value of the label command. All commands without a name are one, so that peers
// cannot make up values.
func nameOf(c pdu.CommandID) string {
	if c == 0 {
		return "other"
	}
	return c.String()
}

// emitRelease emits every series from 0 on, so that the first one counts as an increase.
func (t *Tenant) emitRelease(emit emitFunc) {
	for _, stage := range []release.State{release.Shadow, release.Stage, release.Bake} {
		emit(releaseStage, oneIf(t.Stage == string(stage)), t.Name, string(stage))
	}
	for _, budget := range release.BudgetNames {
		emit(releaseBudget, t.Budgets[budget], t.Name, budget)
	}
	emit(releasePDUs, float64(t.Weighed.Alike), t.Name, "alike")
	emit(releasePDUs, float64(t.Weighed.ByStable), t.Name, "stable")
	emit(releasePDUs, float64(t.Weighed.ByCandidate), t.Name, "candidate")
	all := t.Weighed.Sum()
	emit(releaseDiffers, float64(all.Differ), t.Name, "verdict")
	emit(releaseDiffers, float64(all.Faults), t.Name, "fault")
	emit(releaseDiffers, float64(all.Closes), t.Name, "close")
	emit(releaseDiffers, float64(all.Presence), t.Name, "presence")
	emit(releaseDiffers, float64(all.Undelivered), t.Name, "undelivered")
	emit(releaseUnweighed, float64(all.Unweighed), t.Name)
}

// emit emits the counts of one listener, with its address as the first label.
func (l *Listener) emit(emit emitFunc) {
	emit(accepted, float64(l.Counts.Accepted), l.Address)
	emit(handshaking, float64(l.Counts.Handshaking), l.Address)
	emit(open, float64(l.Counts.Open), l.Address)
	emit(sources, float64(l.Counts.Sources), l.Address)
	for why, n := range withZeros(l.Counts.Refused, refusals) {
		emit(refused, float64(n), l.Address, string(why))
	}
	l.emitCertificate(emit)
}

// emitCertificate emits what is known of the listener's certificate, if it has one. Without one there
// are no series: 0 would be an expiry in 1970, and set off every alert.
func (l *Listener) emitCertificate(emit emitFunc) {
	if !l.CertificateUntil.IsZero() {
		emit(certificateUntil, seconds(l.CertificateUntil), l.Address)
		emit(certificateRefused, oneIf(l.CertificateRefused), l.Address)
		emit(certificateWarnings, float64(l.CertificateWarnings), l.Address)
	}
}

// Reasons that are emitted from zero on. Otherwise Prometheus would not see the first
// occurrence as an increase.
var (
	closings = []hub.Reason{hub.SlowConsumer, hub.WriteTimeout, hub.IdleTimeout}
	drops    = []hub.Reason{hub.ByPolicy, hub.PolicyFault, hub.MalformedBody, hub.BadStatus, hub.OverLimit, hub.NoHolder, hub.TooManyUsers, hub.AnswerTooLong, hub.PresenceFull, hub.Standby,
		hub.OverQuotaPDUs, hub.OverQuotaBytesIn, hub.OverQuotaBytesOut, hub.LogFull, hub.SessionEnded}
	slowings = []hub.Reason{hub.OverQuotaPDUs, hub.OverQuotaBytesIn, hub.OverQuotaBytesOut, hub.LogFull}
	results  = []string{"done", "rolled-back", "withdrawn", "superseded"}
	refusals = []admission.Reason{admission.NoDescriptors, admission.ListenerFull, admission.NotAllowed, admission.SourceFull, admission.SourceRate, admission.TenantFull}
)

// withZeros returns the counts, with zero for the keys that they lack. It copies them: counts belong to
// the State.
func withZeros[K comparable](counts map[K]uint64, keys []K) map[K]uint64 {
	all := make(map[K]uint64, len(counts)+len(keys))
	for _, k := range keys {
		all[k] = 0
	}
	maps.Copy(all, counts)
	return all
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds returns a time as Prometheus represents it.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
