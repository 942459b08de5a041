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

// A stage in which nobody obeys the candidate says why, and what to do. It waits for somebody only if
// all users would be next.
func TestStatusOfAnUntriedStage(t *testing.T) {
	steps := []api.ReleaseStep{{State: "stage", Share: 0.01}, {State: "stage", Share: 0.5}, {State: "bake", Share: 1}}
	stage := api.ReleaseStage{State: "stage", Share: 0.01, Effective: 0.01, NextUnitAt: 0.37251, ByStable: 7625, Weighed: 7625, Sample: 3000, Steps: steps}
	const untried = "untried  no user or peer that sent an affected PDU is in the share of 1 %; the first one is above 37.25 %: wait for others, or write 'switchyard policy promote'\n"
	last, tried, quiet := stage, stage, stage
	last.Step, last.Share, last.Effective = 1, 0.5, 0.5
	tried.ByCandidate = 1
	quiet.NextUnitAt = 0
	for _, c := range []struct {
		stage   *api.ReleaseStage
		untried string
		next    string
	}{
		{&stage, untried, "next     50 % now\n"},
		{&last, "untried  no user or peer that sent an affected PDU is in the share of 50 %", "next     bake after a PDU that is obeyed as the candidate\n"},
		{&tried, "", "next     50 % now\n"},
		{&quiet, "", "next     50 % now\n"},
	} {
		var out strings.Builder
		if err := printStage(&out, &api.Release{Tenant: "acme", Release: 2, Mode: "staged", Stage: c.stage}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), c.untried) || c.untried == "" && strings.Contains(out.String(), "untried") || !strings.Contains(out.String(), c.next) {
			t.Errorf("no %q or %q in\n%s", c.untried, c.next, out.String())
		}
	}
}

// A budget that is used many times over is printed in digits.
func TestBudgets(t *testing.T) {
	got := budgetsOf([]api.BudgetUse{{Budget: "undelivered", Used: 0.00012, Allowed: 0.001}, {Budget: "copies", Used: -0.5, Allowed: 0.25},
		{Budget: "bytes", Used: 23.456, Allowed: 100}, {Budget: "fuel", Used: 12345, Allowed: 28000}})
	if want := "undelivered 0.012 of 0.1 %, copies -50 of +25 %, bytes +2346 of +10000 %, fuel 12345 of 28000 units"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
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
