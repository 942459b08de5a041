package api

import "time"

// What /api/v1/upgrade takes and answers.

// Results of an upgrade.
const (
	UpgradeNone    = "none"    // there was none yet
	UpgradeRunning = "running" // the new program is being started
	UpgradeChecked = "checked" // the new program could take over; nothing else was requested
	UpgradeFailed  = "failed"  // the old program keeps serving
	UpgradeDone    = "done"    // the new program serves
)

// An UpgradeRequest asks for another program in the place of the running one.
type UpgradeRequest struct {
	// Program is the path of the new program; empty: the path that the running one was started by.
	Program string `json:"program,omitempty"`
	// Check: the new program loads everything, says whether it could take over, and ends.
	Check bool `json:"check,omitempty"`
}

// An Upgrade is the last one, or the one that is under way. The process that serves answers, so
// after one that is done this is what the new process knows.
type Upgrade struct {
	Result        string     `json:"result"`
	Check         bool       `json:"check"` // only a check was requested
	Begun         *time.Time `json:"begun"`
	Step          string     `json:"step"`  // at which it failed; empty unless Result is UpgradeFailed
	Error         string     `json:"error"` // why; empty unless Result is UpgradeFailed
	Program       string     `json:"program"`
	From          string     `json:"from"`           // version of the old program
	To            string     `json:"to"`             // version of the new program; empty if it did not say
	PID           int        `json:"pid"`            // of the new process; 0 if it did not start
	FrozenSeconds float64    `json:"frozen_seconds"` // for how long peers were not served
	Moved         int        `json:"moved"`          // sessions that the new process keeps serving
	Drained       int        `json:"drained"`        // sessions that were written what was due to them, and closed
	Closed        int        `json:"closed"`         // sessions that were closed with copies due to them discarded
}
