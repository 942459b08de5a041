package presence

import (
	"testing"
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
