package review

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"switchyard/pdu"
	"switchyard/policy"
)

// A Weight is how much traffic a change concerns.
type Weight struct {
	PDUs         uint64  `json:"pdus"`
	Share        float64 `json:"share"`         // of all PDUs of the traffic, 0–1; set by Weigh
	Bytes        uint64  `json:"bytes"`         // of those PDUs, headers included
	Changed      uint64  `json:"changed"`       // PDUs on which the two policies decide differently
	CopiesBefore uint64  `json:"copies_before"` // sent to peers
	CopiesAfter  uint64  `json:"copies_after"`
	SentBefore   uint64  `json:"sent_before"` // bytes of the copies
	SentAfter    uint64  `json:"sent_after"`
}

// Weights holds some traffic by its ids: what was received, and what either policy sent.
type Weights map[policy.IDs]Weight

// Services returns the services of the traffic, those of most PDUs first.
func (w Weights) Services() []pdu.ServiceID {
	pdus := make(map[pdu.ServiceID]uint64)
	for ids, one := range w {
		pdus[ids.Service] += one.PDUs
	}
	return slices.SortedFunc(maps.Keys(pdus), func(a, b pdu.ServiceID) int {
		return cmp.Or(cmp.Compare(pdus[b], pdus[a]), cmp.Compare(a, b))
	})
}

// Weigh adds to every change its part of the traffic. Else gets the traffic of unknown
// commands that no other change has. It returns the sum of all traffic. Shares are those of all
// PDUs, so those of the changes add up to less than 1 where some traffic is not concerned.
func Weigh(changes []Change, w Weights) (total Weight) {
	for i := range changes {
		changes[i].Weight = new(Weight)
	}
	for ids, one := range w {
		total.Add(one)
		if i := changeOf(changes, ids); i >= 0 {
			changes[i].Weight.Add(one)
		}
	}
	for i := range changes {
		changes[i].Weight.share(total)
	}
	total.share(total)
	return total
}

// changeOf returns the index of the change to which the ids belong, or -1. A change that names the
// command comes before Else; no two of them share a command and a service.
func changeOf(changes []Change, ids policy.IDs) int {
	_, known := pdu.CommandByID(ids.Command)
	rest := -1
	for i, c := range changes {
		switch about := c.First <= uint16(ids.Command) && uint16(ids.Command) <= c.Last; {
		case !c.Has(ids.Service):
		case c.Command == Else && !known:
			rest = i
		case c.Command != Else && about:
			return i
		}
	}
	return rest
}

// Add adds another part of the same traffic.
func (w *Weight) Add(o Weight) {
	w.PDUs += o.PDUs
	w.Share += o.Share
	w.Bytes += o.Bytes
	w.Changed += o.Changed
	w.CopiesBefore += o.CopiesBefore
	w.CopiesAfter += o.CopiesAfter
	w.SentBefore += o.SentBefore
	w.SentAfter += o.SentAfter
}

// share computes w's share of all PDUs, to four digits.
func (w *Weight) share(total Weight) {
	if total.PDUs > 0 {
		w.Share = math.Round(float64(w.PDUs)/float64(total.PDUs)*1e4) / 1e4
	}
}
