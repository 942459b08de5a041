//go:build full

package hub_test

import (
	"runtime"
	"testing"

	"switchyard/policy"
	"switchyard/policy/policytest"
)

func TestManyStageChanges(t *testing.T) { stageChanges(t, 6000, 8) }

func TestRandomTrafficOfManySeeds(t *testing.T) { randomTraffics(t, 300) }

// Releases leave no memory behind.
func TestMemoryOfReleases(t *testing.T) {
	active := policytest.Active(commonRules())
	defer active.Close()
	heap := func(releases int) uint64 {
		for range releases {
			s := &policy.Split{Stable: policytest.Generation(commonRules()), Candidate: policytest.Generation(commonRules())}
			for _, share := range []float64{0, 0.5, 1} {
				active.Install(policy.NewStage(s, share, new(policy.Tally)))
			}
			active.Install(s.Candidate)
			s.Stable.Release()
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap(100)
	if after := heap(10_000); after > before+4<<20 {
		t.Errorf("%d KiB of heap after 100 releases, %d KiB after 10,000 more", before>>10, after>>10)
	}
}
