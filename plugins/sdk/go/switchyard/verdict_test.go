package switchyard

import "testing"

// The numbers are those of the ABI.
func TestVerdicts(t *testing.T) {
	for _, c := range []struct{ got, want Verdict }{
		{Drop.Log(), 0x400},
		{Consume, 1},
		{Handle(RoleSet), 0x3_00000002},
		{UnicastSender, 3},
		{UnicastSession(7), 0x7_00010003},
		{UnicastUser(1001).NotSender(), 0x3e9_00020803},
		{UnicastUser(0xffffffff), 0xffffffff_00020003},
		{UnicastFields(1, 2).NotSender().ElseBroadcast(), 0x6_00031803},
		{UnicastFields(31), 0x80000000_00030003},
		{UnicastFields(32), 0x30003}, // which the server refuses
		{UnicastMaster, 0x40003},
		{BroadcastExceptSender.InspectBody(), 0x204},
		{BroadcastExceptSender.InspectHeader(), 0x104},
		{BroadcastAll.Log(), 0x405},
		{Close, 6},
		{BroadcastExceptSender.Limit(1), 0x4000004},
		{BroadcastAll.Limit(9).Log().Limit(63), 0xfc000405},
	} {
		if c.got != c.want {
			t.Errorf("got %#x, want %#x", c.got, c.want)
		}
	}
}

func TestRates(t *testing.T) {
	for _, c := range []struct{ got, want Rate }{
		{NoRate, 0},
		{PerSecond(50), 0x1000032},
		{PerMinute(30).Burst(5), 0x5_0200001e},
		{PerSecond(1_000_000).Burst(7).Burst(1_000_000), 0xf4240_010f4240},
	} {
		if c.got != c.want {
			t.Errorf("got %#x, want %#x", c.got, c.want)
		}
	}
}

func TestHeader(t *testing.T) {
	h := Header{Hi: 0xfedcba98_76543210, Lo: 0xf0e1d2c3_b4a59687}
	got := [...]uint32{h.Length(), h.Version(), h.Flag(), uint32(h.Service()), uint32(h.Command()), h.Sequence(), h.Reserved()}
	want := [...]uint32{0xfedcba98, 0x7654, 0x3210, 0xf0e1, 0xd2c3, 0xb4a5, 0x9687}
	if got != want {
		t.Errorf("got %x, want %x", got, want)
	}
	for a, want := range map[Attributes]bool{0: false, 1: true, 3: true, 1<<63 | 2: false} {
		if got := a.Master(); got != want {
			t.Errorf("attributes %#x: got master %t", uint64(a), got)
		}
	}
}
