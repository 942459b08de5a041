package metrics

import (
	"maps"
	"time"

	"switchyard/policy"
	"switchyard/proxy/admission"
	"switchyard/proxy/hub"
)

// A teller takes one value of a family, with its labels' values in their order.
type teller func(f *family, value float64, labels ...string)

func (s *State) tell(tell teller) {
	tell(buildInfo, 1, s.Build.Version, s.Build.Revision, s.Build.Go, s.Build.Wazero)
	tell(draining, truth(s.Draining))
	tell(configReloads, float64(s.Reloads.Done), "done")
	tell(configReloads, float64(s.Reloads.Refused), "refused")
	tell(configSuccessful, truth(!s.Reloads.LastRefused))
	tell(configSuccessTime, seconds(s.Reloads.LastDone))
}

func (t *Tenant) tell(tell teller) {
	t.tellConnections(tell)
	t.tellReceived(tell)
	t.tellSent(tell)
	t.tellPolicy(tell)
	tell(users, float64(t.Users), t.Name)
	tell(entries, float64(t.Entries), t.Name)
}

func (t *Tenant) tellConnections(tell teller) {
	tell(connections, float64(t.Counts.Sessions), t.Name)
	tell(connectionsLimit, float64(t.Connections), t.Name)
	tell(connectionsPaused, float64(t.Paused), t.Name)
	tell(connectionsOpened, float64(t.Counts.Joined), t.Name)
	for why, n := range withZeros(t.Counts.Closed, closings) {
		tell(connectionsClosed, float64(n), t.Name, string(why))
	}
}

func (t *Tenant) tellReceived(tell teller) {
	tell(pdusReceived, float64(t.Counts.Received), t.Name)
	tell(bytesReceived, float64(t.Counts.BytesIn), t.Name)
	for action, n := range t.Counts.Actions {
		tell(pdusAccepted, float64(n), t.Name, action.String())
	}
	for why, n := range withZeros(t.Counts.Dropped, drops) {
		tell(pdusDropped, float64(n), t.Name, string(why))
	}
	for _, said := range t.Said {
		command := "other"
		if said.Command != 0 {
			command = said.Command.String()
		}
		tell(bytesBy, float64(said.Bytes), t.Name, command)
		for action, n := range said.Actions {
			tell(pdusByAction, float64(n), t.Name, command, action.String())
		}
	}
	tell(pdusMade, float64(t.Counts.Made), t.Name)
	for why, n := range withZeros(t.Counts.Slowed, slowings) {
		tell(slowed, float64(n), t.Name, string(why))
		tell(slowedSeconds, t.Counts.SlowedTime[why].Seconds(), t.Name, string(why))
	}
}

func (t *Tenant) tellSent(tell teller) {
	tell(copiesDue, float64(t.Counts.Due), t.Name)
	tell(copiesDelivered, float64(t.Counts.Delivered), t.Name)
	tell(copiesPending, float64(t.Counts.Pending), t.Name)
	for why, n := range t.Counts.Discarded {
		tell(copiesDiscarded, float64(n), t.Name, string(why))
	}
	tell(bytesSent, float64(t.Counts.BytesOut), t.Name)
	tell(lagMax, float64(t.Counts.Lag), t.Name)
	tell(lagSum, float64(t.Counts.Lags), t.Name)
	tell(logBytes, float64(t.Log), t.Name)
	tell(logLimit, float64(t.LogLimit), t.Name)
	tell(probeSeconds, t.ProbeSeconds, t.Name)
}

func (t *Tenant) tellPolicy(tell teller) {
	tell(policyInfo, 1, t.Name, t.Policy, t.SHA256)
	tell(policyReloads, float64(t.Swapped), t.Name, "in-force")
	tell(policyReloads, float64(t.Refused), t.Name, "refused")
	tell(policyLoad, t.LoadSeconds, t.Name)
	for _, kind := range policy.FaultKinds { // from 0 on, so that the first one is an increase
		tell(policyFaults, float64(t.Faults[kind]), t.Name, string(kind))
	}
	if !t.SignatureUntil.IsZero() {
		tell(signatureUntil, seconds(t.SignatureUntil), t.Name)
	}
}

func (l *Listener) tell(tell teller) {
	tell(accepted, float64(l.Counts.Accepted), l.Address)
	tell(handshaking, float64(l.Counts.Handshaking), l.Address)
	tell(open, float64(l.Counts.Open), l.Address)
	tell(sources, float64(l.Counts.Sources), l.Address)
	for why, n := range withZeros(l.Counts.Refused, refusals) {
		tell(refused, float64(n), l.Address, string(why))
	}
	if !l.CertificateUntil.IsZero() {
		tell(certificateUntil, seconds(l.CertificateUntil), l.Address)
	}
}

// Reasons that are told from zero on, so that the first time is an increase.
var (
	closings = []hub.Reason{hub.SlowConsumer, hub.WriteTimeout, hub.IdleTimeout}
	drops    = []hub.Reason{hub.ByPolicy, hub.PolicyFault, hub.MalformedBody, hub.BadStatus, hub.NoHolder, hub.TooManyUsers, hub.AnswerTooLong, hub.PresenceFull,
		hub.OverQuotaPDUs, hub.OverQuotaBytesIn, hub.OverQuotaBytesOut, hub.LogFull}
	slowings = []hub.Reason{hub.OverQuotaPDUs, hub.OverQuotaBytesIn, hub.OverQuotaBytesOut, hub.LogFull}
	refusals = []admission.Reason{admission.NoDescriptors, admission.ListenerFull, admission.NotAllowed, admission.SourceFull, admission.SourceRate, admission.TenantFull}
)

// withZeros returns counts that have each of those keys.
func withZeros[K comparable](counts map[K]uint64, keys []K) map[K]uint64 {
	all := make(map[K]uint64, len(counts)+len(keys))
	for _, k := range keys {
		all[k] = 0
	}
	maps.Copy(all, counts)
	return all
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds is how Prometheus has a time.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
