// Package release decides how far a release of a policy has come: it says which share of the
// units obeys the candidate, and when the release ends. It is a state machine: it has no clock,
// starts no goroutine, opens nothing, and installs nothing. About once a second, its caller
// passes in the elapsed time and the counts, and carries out what the package decides.
//
//	shadow ─▶ 1 % ─▶ 10 % ─▶ 50 % ─▶ bake ─▶ done
//	   └───────┴──────┴───────┴───────┴─▶ rolled-back, withdrawn, superseded
package release

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
)

// A State is the state of a release.
type State string

const (
	Shadow     State = "shadow"      // the stable policy is obeyed, and both are compared
	Stage      State = "stage"       // the candidate is obeyed for a share of the units
	Bake       State = "bake"        // the candidate is obeyed for all, and both are compared
	Done       State = "done"        // the candidate is in force alone
	RolledBack State = "rolled-back" // the stable policy is in force again
	Withdrawn  State = "withdrawn"   // the stable policy is in force, because the configuration names it again
	Superseded State = "superseded"  // the stable policy is in force, because another candidate arrived
)

// Over reports whether the release has ended.
func (s State) Over() bool { return s != Shadow && s != Stage && s != Bake }

// A Choice is what to do where the counts alone do not decide.
type Choice string

const (
	Wait    Choice = "pause"
	Proceed Choice = "proceed"
	Back    Choice = "roll-back"
	Ignore  Choice = "ignore"
)

// A Plan describes the course of a release. It may be replaced while the release is active: the
// new plan applies from then on, but the share does not decrease.
type Plan struct {
	Shadow      bool          // begin with a shadow; otherwise with the first stage
	Stages      []float64     // increasing shares of the units, 0–1
	Hold        time.Duration // least time of shadow and of each stage
	Sample      uint64        // least number of weighed PDUs in each of them
	MaxWait     time.Duration // time after which OnQuiet applies if there were fewer PDUs
	OnQuiet     Choice        // Wait, Proceed or Back
	Bake        time.Duration
	OnSuspicion Choice // Wait, Back or Ignore
	Manual      bool   // shadow, stages and bake wait for Promote
	AtOnce      bool   // no stages between shadow and bake: the share cannot be split
	Neutral     bool   // no row differs: shadow for Hold, then done
	Budget      Budget
	Accept      map[pdu.CommandID]bool // commands that are meant to change
	Rows        int                    // commands about which the policies differ, as far as they are known
	Fuel        uint64                 // limit for one decision
}

// A Release is an active or ended release. The zero value is not a release; see New. A Release is
// not safe for concurrent use.
type Release struct {
	Plan   Plan
	State  State
	Share  float64       // of the units that obey the candidate
	Paused bool          // the share stays and the time does not advance; a breach still ends the release
	Reason string        // why it is paused, or how it ended
	Held   time.Duration // time in this state with this share, without pauses
	Stood  time.Duration // time in the present pause; 0 if the release is not paused

	judge    judge
	weighed  uint64 // PDUs weighed up to the last tick
	obeyed   bool   // the candidate was obeyed about a PDU before the last tick
	baseline uint64 // PDUs that were weighed when this step began: this state with this share
}

// New begins a release.
func New(p Plan) *Release {
	r := &Release{Plan: p, State: Shadow}
	if !p.Shadow && !p.Neutral {
		r.next()
	}
	return r
}

// Resume continues a release in the state and with the share that it had before a restart. The time
// and the sample start again; c, the counts from before the restart, is part of the counts of each
// Tick.
func Resume(p Plan, s State, share float64, c policy.Weighed) *Release {
	return &Release{Plan: p, State: s, Share: share, weighed: weighed(c), baseline: weighed(c), obeyed: c.ByCandidate > 0}
}

// Weighed returns how many PDUs were weighed in this step.
func (r *Release) Weighed() uint64 { return r.weighed - r.baseline }

// An Event is a request to a release by its caller or an operator.
type Event string

const (
	Promote    Event = "promote"     // enter the next step now
	PromoteAll Event = "promote-all" // enter bake now, or done if in bake
	Pause      Event = "pause"
	Continue   Event = "resume"
	Trip       Event = "trip"     // a tripwire of the stage, or a breach
	Rollback   Event = "rollback" // asked by an operator
	Withdraw   Event = "withdraw" // the configuration names the stable policy again
	Supersede  Event = "supersede"
)

// Events holds all of them.
var Events = [...]Event{Promote, PromoteAll, Pause, Continue, Trip, Rollback, Withdraw, Supersede}

// ErrOver is the error of an Event for a release that has ended.
var ErrOver = errors.New("the release has ended")

// errPaused and errGoing are errors of events that would change nothing.
var (
	errPaused = errors.New("the release is paused already")
	errGoing  = errors.New("the release is not paused")
)

// Handle carries out an event. If it returns an error, nothing has changed. When a release is Done
// but its candidate is not yet in force, the caller may still send a Trip, which rolls the release
// back.
func (r *Release) Handle(e Event, reason string) error {
	if r.State.Over() && !(r.State == Done && e == Trip) {
		return ErrOver
	}
	switch e {
	case Promote:
		r.promote()
	case PromoteAll:
		if r.State != Bake {
			r.enter(Bake, 1)
		} else {
			r.promote()
		}
	case Pause:
		if r.Paused {
			return errPaused
		}
		r.pause(reason)
	case Continue:
		if !r.Paused {
			return errGoing
		}
		r.resume()
	case Trip, Rollback:
		r.end(RolledBack, reason)
	case Withdraw:
		r.end(Withdrawn, reason)
	case Supersede:
		r.end(Superseded, reason)
	default:
		return fmt.Errorf("a release knows no event %q", e)
	}
	return nil
}

// promote enters the next step and ends a pause, because the operator asked for it.
func (r *Release) promote() {
	r.resume()
	r.next()
}

func (r *Release) pause(reason string) { r.Paused, r.Reason, r.Stood = true, reason, 0 }

func (r *Release) resume() { r.Paused, r.Reason, r.Stood = false, "", 0 }

// next enters the next step.
func (r *Release) next() {
	switch {
	case r.State == Bake, r.Plan.Neutral:
		r.end(Done, "")
	case r.Plan.AtOnce:
		r.enter(Bake, 1)
	default:
		r.enter(r.after())
	}
}

// after returns the stage after the present share, or bake. It compares shares rather than counting
// stages, so that stages may be added and removed while a release is active.
func (r *Release) after() (State, float64) {
	for _, share := range r.Plan.Stages {
		if share > r.Share {
			return Stage, share
		}
	}
	return Bake, 1
}

func (r *Release) enter(s State, share float64) {
	r.State, r.Share, r.Held, r.baseline = s, share, 0, r.weighed
	r.resume()
}

func (r *Release) end(s State, reason string) {
	r.resume()
	if r.State, r.Reason = s, reason; s == Done {
		r.Share = 1
	} else {
		r.Share = 0
	}
}

// Unaccepted returns those of the commands that are not meant to change.
func (p *Plan) Unaccepted(commands []pdu.CommandID) []pdu.CommandID {
	return slices.DeleteFunc(slices.Clone(commands), func(c pdu.CommandID) bool { return p.Accept[c] })
}
