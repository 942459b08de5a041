//go:build full || race

package hub_test

import (
	"math/rand/v2"
	"testing"
)

// The same history happens at two hubs. One lives through it; the other one is exported and
// imported again and again, in the middle of PDUs that are half read and half written. In
// the end all peers have received the same bytes, and all counts are equal.
func TestImportedHubGoesOnAsTheOther(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 13))
		p := newPair(t, rnd.IntN)
		for range 150 {
			p.step()
		}
		p.end()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
