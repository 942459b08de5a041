package cluster

import "slices"

// Each hub judges by its own files. While they are exchanged one hub after the other, hubs judge
// differently, and a hub that was forgotten keeps doing so. A hub with a staged release judges by two
// policies, and tells both sums:
//
//	hub 1   new          differs from hub 3
//	hub 2   old, new     differs from none
//	hub 3   old          differs from hub 1

// PolicyMismatches returns how many other members have no policy in common with this hub. Members
// that have not told their policies are not counted.
func (s *Status) PolicyMismatches() (n int) {
	var own []uint64
	for _, m := range s.Members {
		if m.Origin == s.Origin {
			own = m.Facts.Policies
		}
	}
	for _, m := range s.Members {
		others := m.Facts.Policies
		if len(own) > 0 && len(others) > 0 && !slices.ContainsFunc(others, func(sum uint64) bool { return slices.Contains(own, sum) }) {
			n++
		}
	}
	return n
}
