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
	if !InGroup(1<<33, 1) || InGroup(1<<33, 0) || InGroup(1, 0) || !InGroup(1<<63, 31) {
		t.Error("InGroup reads another bit")
	}
	if word := Groups("admin\narchive"); uint32(word) != 13 {
		t.Errorf("the length of the names is %d", uint32(word))
	}
}
