package switchyard

import "testing"

func TestGroups(t *testing.T) {
	for _, test := range []struct{ got, want Verdict }{
		{UnicastGroup(1), 0x0000000100050003},
		{BroadcastExceptSender.AlsoGroup(1), 0x0000000000102004},
		{UnicastGroup(0).AlsoGroup(31).NotSender(), 0x0000000001f52803},
	} {
		if test.got != test.want {
			t.Errorf("got %#x, want %#x", uint64(test.got), uint64(test.want))
		}
	}
	for _, test := range []struct {
		sender Attributes
		group  uint32
		want   bool
	}{{1 << 33, 1, true}, {1 << 33, 0, false}, {1, 0, false}, {1 << 63, 31, true}} {
		if got := test.sender.InGroup(test.group); got != test.want {
			t.Errorf("%#x in group %d: got %v, want %v", test.sender, test.group, got, test.want)
		}
	}
	if word := Groups("admin\narchive"); uint32(word) != 13 {
		t.Errorf("the length of the names is %d", uint32(word))
	}
}
