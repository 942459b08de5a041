package presence

import (
	"runtime"
	"testing"

	"switchyard/pdu/body"
)

func TestList(t *testing.T) {
	var l list[uint32]
	const n = 3*pageLen + 1
	for round := range 2 { // the second one in the room of the first
		for i := range uint32(n) {
			l.push(i)
			if l.n != int(i)+1 || *l.at(i) != i || *l.at(i / 2) != i/2 {
				t.Fatalf("round %d: of %d elements %d is %d, and %d is %d", round, l.n, i, *l.at(i), i/2, *l.at(i / 2))
			}
		}
		for i := range uint32(n) {
			if got := l.pop(); got != n-1-i || l.n != int(n-1-i) {
				t.Fatalf("round %d: took %d off, %d are left", round, got, l.n)
			}
		}
	}
	if len(l.pages) != 4 {
		t.Errorf("%d pages for twice %d elements", len(l.pages), n)
	}
}

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
