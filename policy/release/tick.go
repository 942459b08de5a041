package release

import (
	"fmt"
	"time"

	"switchyard/policy"
)

// maxTick is the longest time that one tick counts, because nothing is observed while the process
// or the machine is stalled.
const maxTick = 5 * time.Second

// A Tick is what the caller has observed since the release began.
type Tick struct {
	Elapsed time.Duration  // since the last tick
	Counts  policy.Weighed // since the release began, including the counts from before a restart
	Signals []Signal
	Ends    Ends // since the last tick; in a stage of connections
}

// A Signal counts events of the whole tenant that cannot be attributed to one policy. For
// example, sessions closed as slow consumers receive what peers on both sides send.
type Signal struct {
	Name   string
	Before uint64 // in a period of equal length before the release
	During uint64 // since the release began
}

// suspicion describes how much more frequent the signal has become; it is empty if it has not, or
// was already frequent before the release.
func (s *Signal) suspicion() string {
	if s.During <= 3 || s.During <= 4*s.Before {
		return ""
	}
	return fmt.Sprintf("%s: %d since the release began, and %d in as long a time before", s.Name, s.During, s.Before)
}

// Tick takes the elapsed time and the counts. It enters the next step if the present one is
// over, and ends the release if a budget is exceeded. It reports whether State, Share or Paused
// has changed.
func (r *Release) Tick(t Tick) (changed bool) {
	if r.State.Over() {
		return false
	}
	was := [...]any{r.State, r.Share, r.Paused}
	r.weighed, r.obeyed = weighed(t.Counts), t.Counts.ByCandidate > 0
	r.baseline = min(r.baseline, r.weighed)
	if breach := r.judge.breach(&r.Plan, t.Counts); breach != "" {
		r.end(RolledBack, breach)
		return true
	}
	r.judge.endings.add(t.Ends)
	elapsed := min(max(t.Elapsed, 0), maxTick)
	if r.Paused {
		r.Stood += elapsed
	} else {
		r.Held += elapsed
		r.checkSignals(t)
	}
	if !r.Paused && !r.State.Over() {
		r.step()
	}
	return was != [...]any{r.State, r.Share, r.Paused}
}

// checkSignals applies the plan's choice for what is suspicious.
func (r *Release) checkSignals(t Tick) {
	r.suspect("session ends", r.judge.endings.suspicion())
	for i := range t.Signals {
		r.suspect(t.Signals[i].Name, t.Signals[i].suspicion())
	}
}

// suspect applies the plan's choice to one signal, if it is suspicious, once: an operator who resumes
// the release has seen it.
func (r *Release) suspect(name, suspicion string) {
	switch {
	case suspicion == "", r.Paused, r.State.Over(), r.judge.reported[name]:
	case r.Plan.OnSuspicion == Back:
		r.end(RolledBack, suspicion)
	case r.Plan.OnSuspicion == Wait:
		r.pause(suspicion)
		r.judge.report(name)
	}
}

// step enters the next step if the present one is over.
func (r *Release) step() {
	switch {
	case r.Plan.Manual:
	case r.State == Bake:
		if r.Held >= r.Plan.Bake {
			r.next()
		}
	case r.Held < r.Plan.Hold:
	case r.Plan.Neutral, r.Weighed() >= r.Plan.Sample && !r.Untried():
		r.next()
	case r.Held >= r.Plan.MaxWait:
		r.quiet()
	}
}

// Untried reports whether this is the last stage, and the candidate was not obeyed about any PDU: no
// unit that sends affected PDUs is in its share. The bake would then be the first trial, of all units
// at once. It is false if the plan wants no PDUs.
func (r *Release) Untried() bool {
	if r.State != Stage || r.obeyed || r.Plan.Sample == 0 {
		return false
	}
	next, _ := r.after()
	return next == Bake
}

// quiet applies the plan's choice for a step with too few PDUs, or without one that the candidate
// decided, which is neither a success nor a failure.
func (r *Release) quiet() {
	reason := fmt.Sprintf("%d PDUs were weighed in %v, and %d are wanted", r.Weighed(), r.Held, r.Plan.Sample)
	if r.Weighed() >= r.Plan.Sample {
		reason = fmt.Sprintf("%d PDUs were weighed in %v, and the candidate was obeyed about none of them", r.Weighed(), r.Held)
	}
	switch r.Plan.OnQuiet {
	case Proceed:
		r.next()
	case Back:
		r.end(RolledBack, reason)
	default:
		r.pause(reason)
		r.Held = 0 // after a resume, the wait begins again
	}
}

// weighed returns how many affected PDUs were compared.
func weighed(c policy.Weighed) (n uint64) {
	for i := range c.Commands {
		n += c.Commands[i].PDUs - c.Commands[i].Unweighed
	}
	return n
}
