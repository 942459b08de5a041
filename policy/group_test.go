package policy

import (
	"fmt"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy/abi"
)

// A group's number depends on the process and its sum does not, so a record that has the sum finds
// the same name.
func TestGroupsKeepTheirNumbers(t *testing.T) {
	a, b := testGroup("number-a"), testGroup("number-b")
	if a == b || testGroup("number-a") != a || a.String() != "number-a" {
		t.Errorf("the groups are %d %v and %d %v", a, a, b, b)
	}
	if GroupOfSum(a.Sum()) != a || GroupOfSum(b.Sum()) != b || GroupOfSum(0) != 0 {
		t.Error("a sum does not lead to its group")
	}
	if unknown := GroupOfSum(a.Sum() + 1); unknown != ElsewhereGroup || unknown.Sum() != 0 || unknown.String() != "?" {
		t.Errorf("the sum of no group gives %v", unknown)
	}
	if sum := testGroup("archive").Sum(); sum != 0xd33c8dc3 {
		t.Errorf("the sum of archive is %#x, which other hubs and releases do not know", sum)
	}
	for _, name := range []string{"", "Admin", "a b", "master", "ä", strings.Repeat("a", 41)} {
		if g, err := GroupNamed(name); err == nil {
			t.Errorf("%q is group %v", name, g)
		}
	}
}

// A guest's numbers are those of its own list. What it may not say is a fault.
func TestGroupsOfGuests(t *testing.T) {
	east, archive := testGroup("east"), testGroup("archive")
	groups := []Group{archive, east}
	for word, want := range map[uint64]string{
		abi.Unicast | abi.ToGroup<<abi.SelectorShift:                      "unicast group archive",
		abi.Unicast | abi.ToGroup<<abi.SelectorShift | 1<<32:              "unicast group east",
		abi.BroadcastAll | abi.Also:                                       "broadcast-all, also group archive",
		abi.BroadcastAll | abi.Also | 1<<abi.AlsoShift | abi.Log:          "broadcast-all, log, also group east",
		abi.Unicast | abi.ToGroup<<abi.SelectorShift | abi.Also | 1<<20:   "unicast group archive, also group east",
		abi.Unicast | abi.ToUser<<abi.SelectorShift | 7<<32 | abi.Also:    "unicast user 7, also group archive",
		abi.Unicast | abi.ToMaster<<abi.SelectorShift | abi.InspectBodyOf: "unicast master, inspect-body",
		abi.Handle | abi.RoleSet<<abi.ArgumentShift:                       "handle role-set",
	} {
		v, err := GuestVerdict(word, groups)
		if err != nil || v.String() != want || v.Check() != nil || v.GuestWord(groups...) != word {
			t.Errorf("%#x is %v, %v, %v and again %#x; want %s", word, v, err, v.Check(), v.GuestWord(groups...), want)
		}
	}
	for _, tt := range []struct {
		word   uint64
		groups []Group
		want   string
	}{
		{1 << 20, nil, "reserved bits"},
		{1 << 20, groups, "reserved bits"},
		{abi.BroadcastAll | abi.Also | 1<<25, groups, "reserved bits"},
		{abi.BroadcastAll | abi.Also, nil, "reserved flags"},
		{abi.BroadcastAll | 1<<14, groups, "reserved flags"},
		{abi.BroadcastAll | abi.Also | 2<<20, groups, "names group 2, the last is 1"},
		{abi.Drop | abi.Also, groups, "drop sends nothing"},
		{abi.Unicast | abi.ToGroup<<abi.SelectorShift, nil, "selector 5, the last is 4"},
		{abi.Unicast | abi.ToGroup<<abi.SelectorShift | 2<<32, groups, "names group 2, the last is 1"},
		{abi.Unicast | abi.ToGroup<<abi.SelectorShift | 1<<63, groups, "names group 2147483648"},
	} {
		if v, err := GuestVerdict(tt.word, tt.groups); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%#x of %v is %v, %v; want %s", tt.word, tt.groups, v, err, tt.want)
		}
	}
}

// The memo keeps a verdict with a group as it keeps others: the policy is asked once.
func TestMemoHoldsGroups(t *testing.T) {
	v := Verdict(abi.BroadcastAll).WithAlso(ElsewhereGroup)
	calls := 0
	g := NewGeneration("test", "", &rules{classify: func(pdu.ServiceID, pdu.CommandID) (Verdict, error) { calls++; return v, nil }})
	before := calls
	for range 3 {
		if got, fault := g.Classify(3, 0x301); got != v || fault != nil {
			t.Fatalf("got %v, %v", got, fault)
		}
	}
	if calls != before {
		t.Errorf("the policy was asked %d times more", calls-before)
	}
	if got := fmt.Sprint(v); got != "broadcast-all, also group ?" {
		t.Errorf("it is spelled %q", got)
	}
}
