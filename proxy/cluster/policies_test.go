package cluster

import (
	"testing"

	"switchyard/proxy/order"
)

func TestPolicyMismatches(t *testing.T) {
	const older, newer, other = 1, 2, 3
	for _, c := range []struct {
		name     string
		policies [][]uint64 // by member; this hub is the first one
		want     int
	}{
		{"no member", nil, 0},
		{"only this hub", [][]uint64{{newer}}, 0},
		{"all alike", [][]uint64{{newer}, {newer}, {newer}}, 0},
		{"two were forgotten", [][]uint64{{newer}, {older}, {newer}, {other}}, 2},
		{"this hub has a release under way", [][]uint64{{older, newer}, {older}, {newer}}, 0},
		{"another one has", [][]uint64{{newer}, {older, newer}, {older, other}}, 1},
		{"one has not told", [][]uint64{{newer}, {}}, 0},
		{"this hub has not told", [][]uint64{{}, {newer}}, 0},
	} {
		s := Status{Origin: order.Origin{Hub: 1, Incarnation: 7}}
		for i, sums := range c.policies {
			s.Members = append(s.Members, order.Member{Origin: order.Origin{Hub: uint16(i + 1), Incarnation: 7}, Facts: order.Facts{Policies: sums}})
		}
		if got := s.PolicyMismatches(); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}
