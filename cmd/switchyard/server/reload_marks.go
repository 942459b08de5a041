package server

import (
	"slices"
	"strings"
	"time"

	"switchyard/proxy/admin/api"
	"switchyard/proxy/config"
)

// keptMarks is how many reloads, and the start, are remembered for the charts of the dashboard.
const keptMarks = 50

// The charts of the dashboard have a mark where something changed, so that an operator sees what a
// change of the traffic may be due to. Of reloads that changed nothing, only
// those that an operator asked for leave one.

// keyChanges are the keys by which configurations differ.
type keyChanges struct {
	began   *config.Config // with which the process started; keys that need a restart are still those
	waiting []string       // keys that differ from began, and take effect after a restart
	changes []string       // keys that the last reload has changed
}

// noteChanges remembers which keys a reload has changed, for markReload: those that took effect, and
// those that have come to wait for a restart.
func (k *keyChanges) noteChanges(live, waiting []string) {
	k.changes = slices.Clone(live)
	for _, key := range waiting {
		if !slices.Contains(k.waiting, key) {
			k.changes = append(k.changes, key)
		}
	}
	k.waiting = waiting
}

// markReload remembers a reload of the configuration that changed something, was refused, or was
// requested by an operator.
func (srv *server) markReload(err error, requested bool) {
	changes := srv.changes
	srv.changes = nil
	switch {
	case err != nil && (requested || srv.lastErrors["configuration"] != err.Error()):
		srv.state.mark(api.MarkRefused, "configuration refused")
	case err != nil:
	case len(changes) > 0:
		srv.state.mark(api.MarkReload, "configuration reloaded: "+few(changes))
	case requested:
		srv.state.mark(api.MarkReload, "reload; the configuration is unchanged")
	}
}

// few lists some of many keys.
func few(keys []string) string {
	const most = 5
	if len(keys) > most {
		keys = append(slices.Clone(keys[:most]), "…")
	}
	return strings.Join(keys, ", ")
}

// mark remembers an event, and forgets the earliest if there are too many.
func (a *adminState) mark(kind, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.marks = append(a.marks, api.Mark{Time: time.Now().UTC(), Kind: kind, Text: text})
	if len(a.marks) > keptMarks {
		a.marks = slices.Delete(a.marks, 0, len(a.marks)-keptMarks)
	}
}

// configured returns since when the configuration is in force, and the marks so far.
func (a *adminState) configured() (since time.Time, marks []api.Mark) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts.LastDone.UTC(), slices.Clone(a.marks)
}
