package order_test

import (
	"testing"
	"time"

	"switchyard/proxy/order"
)

// vote has members 1 to n say the sums of their tables as of a check, and returns whether the hubs,
// which read all of it, are to enter again.
func vote(t *testing.T, checks int, sums ...uint64) (differs []bool, mismatches uint64) {
	for self := range sums {
		m := newReader(t)
		next := map[uint16]uint64{1: 3}
		for hub := uint16(2); int(hub) <= len(sums); hub++ {
			m.enters(origin(hub, 1), uint64(hub))
			m.wants("", say(order.Joined, origin(hub, 1), 2))
			next[hub] = 3
		}
		if self > 0 {
			b := &reader{t, order.NewMembers(5 * time.Second), m.now, m.head}
			b.Begin(origin(uint16(self+1), 1))
			if err := b.Import(b.now, m.Export(nil)); err != nil {
				t.Fatal(err)
			}
			m = b
		}
		beat := func(hub uint16, check bool, sum order.TableSum) {
			r := say(order.Beat, origin(hub, 1), next[hub])
			r.Facts.Check, r.Facts.Table = check, sum
			next[hub]++
			m.wants("", r)
		}
		for range checks {
			beat(1, true, order.TableSum{})
			at := m.CheckAt()
			if at != m.head {
				t.Fatalf("the check is at %v, want %v", at, m.head)
			}
			for i, sum := range sums {
				if sum > 0 {
					beat(uint16(i+1), false, order.TableSum{Position: at, Sum: sum})
				}
			}
		}
		differs = append(differs, m.Differs())
		mismatches = m.Mismatches()
	}
	return differs, mismatches
}

// Who differs from most, or else from the donor, enters again. A sum of 0 is not said.
func TestSums(t *testing.T) {
	for _, c := range []struct {
		name       string
		sums       []uint64
		differs    []bool
		checks     int
		mismatches uint64
	}{
		{"alone", []uint64{5}, []bool{false}, 1, 0},
		{"equal", []uint64{5, 5, 5}, []bool{false, false, false}, 2, 0},
		{"one of three", []uint64{5, 5, 6}, []bool{false, false, true}, 1, 1},
		{"the donor", []uint64{6, 5, 5}, []bool{true, false, false}, 1, 1},
		{"one of two", []uint64{5, 6}, []bool{false, true}, 1, 1},
		{"two of four", []uint64{5, 6, 6, 5}, []bool{false, true, true, false}, 1, 1},
		{"all", []uint64{7, 6, 5}, []bool{false, true, true}, 1, 1},
		{"not all have said theirs", []uint64{5, 6, 0}, []bool{false, false, false}, 1, 0},
		{"one never says it", []uint64{5, 6, 0}, []bool{false, true, false}, 2, 1},
		{"the donor never says it", []uint64{0, 6, 5, 6}, []bool{false, false, true, false}, 2, 1},
		{"the donor never says it, no majority", []uint64{0, 6, 5}, []bool{false, false, false}, 2, 1},
	} {
		differs, mismatches := vote(t, c.checks, c.sums...)
		for i := range differs {
			if differs[i] != c.differs[i] {
				t.Errorf("%s: hub %d is to enter again: %v", c.name, i+1, differs[i])
			}
		}
		if mismatches != c.mismatches {
			t.Errorf("%s: %d mismatches, want %d", c.name, mismatches, c.mismatches)
		}
	}
}

// A hub that enters has no table yet; nobody waits for its sum.
func TestSumOfNewcomer(t *testing.T) {
	m := newReader(t)
	m.enters(origin(2, 1), 2)
	m.wants("", say(order.Joined, origin(2, 1), 2))
	m.enters(origin(3, 1), 3)
	r := say(order.Beat, origin(1, 1), 3)
	r.Facts.Check = true
	m.wants("", r)
	for hub := range uint16(2) {
		r = say(order.Beat, origin(hub+1, 1), uint64(4-hub))
		r.Facts.Table = order.TableSum{Position: m.CheckAt(), Sum: uint64(hub)}
		m.wants("", r)
	}
	if m.Mismatches() != 1 {
		t.Error("the sums of the two members that have a table were not compared")
	}
}

// A sum of an earlier check is not a vote.
func TestLateSum(t *testing.T) {
	m := newReader(t)
	m.enters(origin(2, 1), 2)
	m.wants("", say(order.Joined, origin(2, 1), 2))
	number := uint64(3)
	beat := func(check bool, sum order.TableSum) {
		r := say(order.Beat, origin(1, 1), number)
		r.Facts.Check, r.Facts.Table = check, sum
		number++
		m.wants("", r)
	}
	beat(true, order.TableSum{})
	first := m.CheckAt()
	beat(true, order.TableSum{Position: first, Sum: 5})
	r := say(order.Beat, origin(2, 1), 3)
	r.Facts.Table = order.TableSum{Position: first, Sum: 6}
	m.wants("", r)
	beat(false, order.TableSum{Position: m.CheckAt(), Sum: 5})
	if m.Differs() || m.Mismatches() != 0 {
		t.Error("a sum of an earlier check was compared with that of a later one")
	}
}
