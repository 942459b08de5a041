package release

import (
	"fmt"
	"time"

	"switchyard/policy"
)

// maxBeat is the longest time that one beat counts, because nothing is observed while the process
// or the machine is stalled.
const maxBeat = 5 * time.Second

// A Beat is what the caller has observed since the release began.
type Beat struct {
	Elapsed time.Duration  // since the last beat
	Counts  policy.Weighed // since the release began, including the counts from before a restart
	Signals []Signal
}

// A Signal counts events of the whole tenant that cannot be attributed to one policy. For
// example, sessions closed as slow consumers receive what peers on both sides send.
type Signal struct {
	Name   string
	Before uint64 // in a period of equal length before the release
	During uint64 // since the release began
}

// suspicious reports whether the signal has become clearly more frequent. A signal that was
// already frequent before the release is not suspicious.
func (s Signal) suspicious() bool { return s.During > 3 && s.During > 4*s.Before }

// Beat takes the elapsed time and the counts. It enters the next step if the present one is
// over, and ends the release if a budget is exceeded. It reports whether State, Share or Paused
// has changed.
func (r *Release) Beat(b Beat) (changed bool) {
	if r.State.Over() {
		return false
	}
	was := [...]any{r.State, r.Share, r.Paused}
	r.weighed = weighed(b.Counts)
	r.baseline = min(r.baseline, r.weighed)
	if breach := r.judge.breach(&r.Plan, b.Counts); breach != "" {
		r.end(RolledBack, breach)
		return true
	}
	elapsed := min(max(b.Elapsed, 0), maxBeat)
	if r.Paused {
		r.Stood += elapsed
	} else {
		r.Held += elapsed
		r.heed(b.Signals)
	}
	if !r.Paused && !r.State.Over() {
		r.step()
	}
	return was != [...]any{r.State, r.Share, r.Paused}
}

// heed applies the plan's choice for suspicious signals.
func (r *Release) heed(signals []Signal) {
	for _, s := range signals {
		if !s.suspicious() || r.Plan.OnSuspicion == Ignore || r.judge.heeded[s.Name] {
			continue
		}
		reason := fmt.Sprintf("%s: %d since the release began, and %d in as long a time before", s.Name, s.During, s.Before)
		if r.Plan.OnSuspicion == Back {
			r.end(RolledBack, reason)
			return
		}
		r.pause(reason)
		r.judge.heed(s.Name) // an operator who resumes the release has seen the signal
		return
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
	case r.Plan.Neutral, r.Weighed() >= r.Plan.Sample:
		r.next()
	case r.Held >= r.Plan.MaxWait:
		r.quiet()
	}
}

// quiet applies the plan's choice for a step with too few PDUs, which is neither a success
// nor a failure.
func (r *Release) quiet() {
	reason := fmt.Sprintf("%d PDUs were weighed in %v, and %d are wanted", r.Weighed(), r.Held, r.Plan.Sample)
	switch r.Plan.OnQuiet {
	case Proceed:
		r.next()
	case Back:
		r.end(RolledBack, reason)
	default:
		r.pause(reason)
		r.Held = 0 // after a resume, the wait begins anew
	}
}

// weighed returns how many affected PDUs were compared.
func weighed(c policy.Weighed) (n uint64) {
	for i := range c.Commands {
		n += c.Commands[i].PDUs - c.Commands[i].Unweighed
	}
	return n
}
