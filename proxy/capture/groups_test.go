package capture

import (
	"testing"

	"switchyard/policy"
	"switchyard/policy/abi"
)

// A recorded verdict keeps the names of its groups in a process that knows them, and has none in
// another.
func TestGroupsInRecords(t *testing.T) {
	archive, err := policy.GroupNamed("archive")
	if err != nil {
		t.Fatal(err)
	}
	also := (policy.UnicastTo(archive) | abi.Log).WithAlso(archive)
	for _, v := range []policy.Verdict{also, policy.UnicastTo(archive), abi.BroadcastAll, abi.Unicast | abi.ToUser<<abi.SelectorShift | 7<<abi.ArgumentShift} {
		word, sum := withSums(v)
		if got := fromSums(word, sum); got != v {
			t.Errorf("%v came back as %v", v, got)
		}
	}
	word, sum := withSums(also)
	if word != abi.Unicast|abi.ToGroup<<abi.SelectorShift|abi.Log|uint64(archive.Sum())<<32 || sum != archive.Sum() {
		t.Errorf("the record has %#x and %#x", word, sum)
	}
	if got := fromSums(word+1<<32, sum+1).String(); got != "unicast group ?, log, also group ?" {
		t.Errorf("groups that this process does not know are shown as %q", got)
	}
}
