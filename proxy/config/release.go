package config

import (
	"fmt"
	"strconv"
	"strings"

	"switchyard/policy/command"
)

// keys returns the keys of how a tenant's policy comes into force.
func (r *Release) keys(custom command.Custom) []key {
	const day = 24 * hour
	budget := &r.Budget
	return []key{
		{name: "release.mode", field: &r.Mode, choices: []string{"at-once", "staged", "manual"}},
		{name: "release.shadow", field: &r.Shadow},
		{name: "release.stages", field: &r.Stages, check: checkShare},
		{name: "release.hold", field: &r.Hold, min: int64(second), max: int64(30 * day)},
		{name: "release.sample", field: &r.Sample, min: 0, max: mostPDUs},
		{name: "release.max_wait", field: &r.MaxWait, min: int64(second), max: int64(365 * day)},
		{name: "release.on_quiet", field: &r.OnQuiet, choices: []string{"pause", "proceed", "roll-back"}},
		{name: "release.unit", field: &r.Unit, choices: []string{"user", "connection"}},
		{name: "release.bake", field: &r.Bake, min: 0, max: int64(30 * day)},
		{name: "release.warm", field: &r.Warm, min: 0, max: int64(30 * day)},
		{name: "release.on_suspicion", field: &r.OnSuspicion, choices: []string{"pause", "roll-back", "ignore"}},
		{name: "release.on_restart", field: &r.OnRestart, choices: []string{"resume", "roll-back"}},
		{name: "release.presence", field: &r.Presence, choices: []string{"refuse", "at-once"}},
		{name: "release.accept", field: &r.Accept, check: checkCommand(custom)},
		{name: "release.shadow_fuel", field: &r.ShadowFuel, min: 1_000_000, max: 10_000_000_000},
		{name: "release.budget.faults", field: &budget.Faults, check: checkRate},
		{name: "release.budget.closes", field: &budget.Closes, check: checkRate},
		{name: "release.budget.undelivered", field: &budget.Undelivered, check: checkRate},
		{name: "release.budget.copies", field: &budget.Copies, check: checkMore},
		{name: "release.budget.bytes", field: &budget.Bytes, check: checkMore},
		{name: "release.budget.fuel", field: &budget.Fuel, check: checkTimes},
	}
}

// Shares and budgets are texts, so that a file says what it means: "1%", "+25%", "x4". The comparisons
// below are written so that a number which is none (NaN) fails them.

// Percent returns the rate that a text such as "0.1%" stands for, 0 to 1.
func Percent(text string) (float64, error) {
	digits, ok := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if !ok || err != nil || !(n >= 0 && n <= 100) {
		return 0, fmt.Errorf("%q is not a rate; write a number from 0 to 100 and %%, such as \"0.1%%\"", text)
	}
	return n / 100, nil
}

// More returns by how much a text such as "+25%" allows to exceed: 0.25.
func More(text string) (float64, error) {
	digits, ok := strings.CutPrefix(text, "+")
	digits, percent := strings.CutSuffix(digits, "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if !ok || !percent || err != nil || !(n >= 0 && n <= 1_000_000) {
		return 0, fmt.Errorf("%q does not say how much more is allowed; write + and a number from 0 to 1000000 and %%, such as \"+25%%\"", text)
	}
	return n / 100, nil
}

// Times returns the factor that a text such as "x4" stands for.
func Times(text string) (float64, error) {
	digits, ok := strings.CutPrefix(text, "x")
	n, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || !(n >= 1 && n <= 1_000_000) {
		return 0, fmt.Errorf("%q is not a factor; write x and a number from 1 to 1000000, such as \"x4\"", text)
	}
	return n, nil
}

// mostRate is the highest rate that a budget may allow: its test compares it with twice as much.
const mostRate = 0.45

// checkRate accepts a rate that a budget may allow.
var checkRate = check{`^\+?(([0-9]|[1-3][0-9]|4[0-4])(\.[0-9]*)?|45(\.0*)?|\.[0-9]+)%$`, func(text string) error {
	rate, err := Percent(text)
	if err == nil && rate > mostRate {
		err = fmt.Errorf("%q is more than a budget can allow; write at most \"%g%%\"", text, 100*mostRate)
	}
	return err
}}

// checkShare accepts the share of a stage.
var checkShare = check{`^\+?([0-9]{1,2}(\.[0-9]*)?|\.[0-9]+)%$`, func(text string) error {
	share, err := Percent(text)
	if err == nil && (share == 0 || share == 1) {
		err = fmt.Errorf("%q is not a share of some; write more than 0%% and less than 100%%: shadow and bake are steps of their own", text)
	}
	return err
}}

// checkMore accepts how much more a candidate may send.
var checkMore = check{`^\+([0-9]{1,6}(\.[0-9]*)?|1000000(\.0*)?|\.[0-9]+)%$`, func(text string) error {
	_, err := More(text)
	return err
}}

// checkTimes accepts how many times as much a candidate may use.
var checkTimes = check{`^x([1-9][0-9]{0,5}(\.[0-9]*)?|1000000(\.0*)?)$`, func(text string) error {
	_, err := Times(text)
	return err
}}

// checkRelease requires shares to grow, and a wait that can end.
func (r *reader) checkRelease(t Tenant) {
	stages, hold, wait := "tenant."+t.Name+".release.stages", "tenant."+t.Name+".release.hold", "tenant."+t.Name+".release.max_wait"
	before := 0.0
	for i, text := range t.Release.Stages {
		share, err := Percent(text)
		if err != nil || !r.sound(stages) {
			return // said already
		}
		if share <= before {
			r.fault(r.member(stages, i), "%s: %s does not follow a smaller share; write the shares in growing order", stages, text)
		}
		before = share
	}
	if r.sound(hold, wait) && t.Release.MaxWait < t.Release.Hold {
		r.fault(r.place(wait, hold), "%s: %s is less than hold, %s, so it would end before that; raise it or lower hold", wait, t.Release.MaxWait, t.Release.Hold)
	}
}
