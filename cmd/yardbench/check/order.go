package check

// SameOrder says whether receivers to whom the same was due, and who got all of it, saw
// it in one order, as far as can be known: those that only receive are compared in all
// of it. Those that also send lack their own messages, so each half of them is compared
// in what the other half sent. Nothing is known if no two can be compared.
func SameOrder(receivers []*Receiver) (same, known bool) {
	first := make(map[half]*Receiver)
	same = true
	for _, r := range receivers {
		other := first[r.half]
		if other == nil {
			first[r.half] = r
			continue
		}
		known = true
		same = same && r.order == other.order
	}
	return same && known, known
}
