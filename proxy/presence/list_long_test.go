//go:build full || race

package presence

import (
	"runtime"
	"testing"

	"switchyard/pdu/body"
)

// However large the table is, adding a few users allocates little: nothing is copied as a
// whole while other peers wait for the lock. Several parts of a map may grow at once, by chance,
// and the whole of the table has 26 MB.
func TestNothingGrowsAsAWhole(t *testing.T) {
	const users, step, most = 300_000, 64, 1 << 20
	d := New()
	var before, after runtime.MemStats
	for n := uint32(0); n < users; n += step {
		runtime.ReadMemStats(&before)
		for i := n; i < n+step; i++ {
			s := body.ServerUserStat{User: i * 2654435761, Status: online, Client: windows}
			d.Apply(A, s)
			d.Apply(B, s) // which makes the first holding one of more
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > most {
			t.Fatalf("beyond %d users, %d more took %d KiB, want at most %d", n, step, took>>10, most>>10)
		}
	}
}
