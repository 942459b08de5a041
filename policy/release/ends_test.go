package release

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// Sessions that end more often on the candidate's side than on the other are a signal like others; as
// many as are to be expected are none.
func TestSessionEnds(t *testing.T) {
	for name, c := range map[string]struct {
		ends   []Ends
		counts bool
	}{
		"one of three, a few times": {repeat(4, Ends{0, 1, 1.0 / 3}), false},
		"one of three, often":       {repeat(8, Ends{0, 1, 1.0 / 3}), true},
		"one of a hundred":          {repeat(2, Ends{0, 1, 0.01}), true},
		"half, all of them":         {repeat(1, Ends{0, 20, 0.5}), true},
		"all alike":                 {repeat(500, Ends{90, 10, 0.1}), false},
		"twice as many":             {repeat(50, Ends{9, 2, 0.1}), true},
		"fewer":                     {repeat(500, Ends{95, 5, 0.1}), false},
		"only the others":           {repeat(500, Ends{9, 0, 0.1}), false},
		"nothing to compare with":   {append(repeat(9, Ends{0, 9, 1}), repeat(9, Ends{0, 9, 0})...), false},
		"another share":             {append(repeat(4, Ends{0, 1, 1.0 / 3}), repeat(12, Ends{0, 1, 0.5})...), true},
	} {
		for choice, want := range map[Choice]string{Wait: "shadow, paused", Back: "rolled-back", Ignore: "shadow"} {
			p := plan()
			p.OnSuspicion = choice
			r := New(p)
			for _, e := range c.ends {
				r.Tick(Tick{Elapsed: time.Millisecond, Ends: e})
			}
			if !c.counts {
				want = "shadow"
			}
			if place(r) != want {
				t.Errorf("%s, %s: %s, want %s", name, choice, place(r), want)
			}
			if c.counts && choice != Ignore && !strings.Contains(r.Reason, "were of peers that obey the candidate") {
				t.Errorf("%s: reason %q", name, r.Reason)
			}
		}
	}
}

func repeat(n int, e Ends) (all []Ends) {
	for range n {
		all = append(all, e)
	}
	return all
}

// If the candidate is no worse, at most one of a thousand releases is suspected, though the share
// changes and the evidence is looked at after each session.
func TestSessionEndsOfAGoodCandidate(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	suspected := 0
	for range 500 {
		var e endings
		for _, share := range []float64{0.01, 0.1, 0.5} {
			for range 100 {
				one := Ends{Stable: 1, Share: share}
				if random.Float64() < share {
					one.Stable, one.Candidate = 0, 1
				}
				if e.add(one); e.suspicion() != "" {
					suspected++
					e = endings{}
				}
			}
		}
	}
	if suspected > 3 { // 0.5 are expected at most, and the seed is fixed
		t.Errorf("%d of 500 releases are suspected", suspected)
	}
}
