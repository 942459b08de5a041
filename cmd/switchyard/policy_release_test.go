package main

import (
	"strings"
	"testing"

	"switchyard/proxy/admin/api"
)

// A release that affects no command, and that an operator paused without a reason, leaves no row
// and no sentence unfinished.
func TestStatusOfAnEmptyRelease(t *testing.T) {
	stage := &api.ReleaseStage{State: "shadow", Paused: true, Candidate: api.ReleasedPolicy{SHA256: "5be2a1c4d1"}}
	var out strings.Builder
	if err := printReleases(&out, &api.Releases{Releases: []api.Release{{Tenant: "acme", Stage: stage}}, History: api.HistoryAccount{Entries: 1, Head: "41a6", Intact: true}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"candidate 5be2a1c4 in shadow, paused\n", "affects  none\n", "unseen   none\n", "history  1 entry, head 41a6\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// An empty last cell does not end the alignment of its column.
func TestColumns(t *testing.T) {
	var out strings.Builder
	rows := [][]string{{"WHO", "REASON"}, {"socket, user 0", ""}, {"budgets and time", "faults"}, {"file", "a\nb"}}
	if err := columns(&out, rows); err != nil {
		t.Fatal(err)
	}
	if want := "WHO               REASON\nsocket, user 0\nbudgets and time  faults\nfile              a\\nb\n"; out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
