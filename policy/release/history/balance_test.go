package history

import "testing"

// What is under way is not lost, as far as it was judged in the release.
func TestBalance(t *testing.T) {
	for _, c := range []struct {
		received, underway uint64 // by the whole tenant
		want               uint64 // under way
		lost               int64
	}{
		{100, 0, 0, 0},
		{100, 9, 0, 0}, // judged before the release
		{107, 9, 7, 0}, // 2 of them were
		{107, 3, 3, 4},
		{98, 5, 0, -2},
	} {
		j := Judged{Received: c.received, Refused: 10, Unstaged: 20, Alike: 30, ByStable: 25, ByCandidate: 15}
		if j.Balance(c.underway); j.Underway != c.want || j.Lost != c.lost {
			t.Errorf("%+v: under way %d, lost %d, want %d and %d", c, j.Underway, j.Lost, c.want, c.lost)
		}
	}
	s := Sums{Received: 10, Accepted: 4, Dropped: 3, Underway: 2, Due: 9, Delivered: 5, Pending: 3, Discarded: 1}
	if s.Balance(); s.Lost != 1 {
		t.Errorf("lost %d, want 1", s.Lost)
	}
}
