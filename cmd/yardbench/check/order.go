package check

// SameOrder reports whether receivers of the same messages, without faults, saw them in
// one order. Receivers that send nothing are compared by all messages. Those that also send
// lack their own messages, so each half of them is compared by the messages of the other
// half:
//
//	senders 0 1 │ 2 3      0 and 1 are compared by the order of the messages of 2 and 3,
//	                       2 and 3 by the order of the messages of 0 and 1
//
// known is false if no two receivers can be compared.
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
