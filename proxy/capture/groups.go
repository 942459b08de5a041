package capture

import (
	"switchyard/policy"
	"switchyard/policy/abi"
)

// Groups have other numbers in another process, so a record has checksums of their names: that of
// "unicast group" as the argument of the verdict, and that of "also group" beside it. A reader that
// does not know the name of a group, because no policy or configuration that it has read names it,
// shows it as a question mark. The comment of the packet has the names.

// withSums returns the word of a guest for the verdict, with sums, and the sum of the group that gets a
// copy as well, or 0.
func withSums(v policy.Verdict) (word uint64, also uint32) {
	if also = v.Also().Sum(); also != 0 {
		v = v.WithAlso(0)
	}
	if target := v.Target(); target != 0 {
		v = v&(1<<abi.ArgumentShift-1) | policy.Verdict(target.Sum())<<abi.ArgumentShift
	}
	return v.GuestNumbers(), also
}

// fromSums is the inverse of withSums.
func fromSums(word uint64, also uint32) policy.Verdict {
	v := policy.VerdictOf(word)
	if v.Target() != 0 {
		v = v&(1<<abi.ArgumentShift-1) | policy.Verdict(policy.GroupOfSum(v.Argument()))<<abi.ArgumentShift
	}
	if also != 0 {
		v = v.WithAlso(policy.GroupOfSum(also))
	}
	return v
}
