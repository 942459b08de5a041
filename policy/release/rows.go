package release

import (
	"switchyard/pdu"
	"switchyard/policy"
)

// Rows are the known commands that a release touches, according to both policies' verdicts
// by ids.
type Rows struct {
	Affected []pdu.CommandID // the policies differ, or one of them inspects or fails
	Presence []pdu.CommandID // only one policy handles these as a change of presence
}

// Compare returns the rows in which the candidate may differ from the stable policy.
func Compare(stable, candidate *policy.Generation) (r Rows) {
	for _, c := range pdu.KnownCommands() {
		before, failed := stable.Classify(c.Service, c.ID)
		after, fails := candidate.Classify(c.Service, c.ID)
		if policy.AreSame(stable, before, candidate, after) && failed == nil && fails == nil && !before.Inspected() {
			continue
		}
		r.Affected = append(r.Affected, c.ID)
		if before.PresenceHandler() != after.PresenceHandler() {
			r.Presence = append(r.Presence, c.ID)
		}
	}
	return r
}
