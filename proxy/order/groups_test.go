package order

import (
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

func groupOf(t *testing.T, name string) policy.Group {
	t.Helper()
	g, err := policy.GroupNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func also(t *testing.T, v policy.Verdict, name string) policy.Verdict {
	t.Helper()
	return v.WithAlso(groupOf(t, name))
}

// A record names groups by what is the same at every hub, and a hub of an earlier release reads it as a
// record whose first target is the same.
func TestGroupsInRecords(t *testing.T) {
	p := pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 1, nil)
	user := policy.Verdict(abi.Unicast | abi.ToUser<<abi.SelectorShift | 7<<abi.ArgumentShift | abi.NotSender)
	runs := []Run{
		{Verdict: policy.UnicastTo(groupOf(t, "archive")) | abi.NotSender},
		{Verdict: also(t, policy.UnicastTo(groupOf(t, "archive")), "east")},
		{Verdict: also(t, abi.BroadcastAll|abi.Log, "archive")},
		{Verdict: also(t, user, "east")},
		{Verdict: user},
		{Verdict: toNobody},
		{Verdict: abi.Handle | abi.OnlineUserInfo<<abi.ArgumentShift, Users: 5, PeerUsers: 6},
	}
	for i := range runs {
		runs[i].PDUs, runs[i].Bytes = 1, p
	}
	r := Record{Kind: Batch, Origin: Origin{Hub: 1, Incarnation: 2}, Number: 3, Session: 4, Runs: runs}
	b := r.Append(nil)
	back, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range runs {
		if got := back.Runs[i]; got.Verdict != want.Verdict || got.Users != want.Users || got.PeerUsers != want.PeerUsers {
			t.Errorf("%v with %d and %d came back as %v with %d and %d", want.Verdict, want.Users, want.PeerUsers, got.Verdict, got.Users, got.PeerUsers)
		}
	}
	for i, want := range []string{"unicast session 0, not-sender", "unicast session 0", "broadcast-all, log", "unicast user 7, not-sender"} {
		if v, _, _ := runs[i].onWire(); v.String() != want || v.Check() != nil {
			t.Errorf("on the wire it is %v, want %s", v, want)
		}
	}
}

// What cannot have been said is not a record; a group that this hub does not know has no number, is none
// of its own, and is written as it was read.
func TestStrangeGroupsInRecords(t *testing.T) {
	for _, test := range []struct {
		run  Run
		want string // the verdict, or the error
	}{
		{Run{Verdict: toNobody, PeerUsers: 12345}, "unicast group ?"},
		{Run{Verdict: abi.BroadcastAll, Users: 12345}, "broadcast-all, also group ?"},
		{Run{Verdict: policy.UnicastTo(1)}, "has the number of a group"},
		{Run{Verdict: also(t, abi.BroadcastAll, "archive")}, "has the number of a group"},
		{Run{Verdict: abi.BroadcastAll, PeerUsers: groupOf(t, "archive").Sum()}, "goes to others than the group"},
		{Run{Verdict: abi.Unicast | abi.ToMaster<<abi.SelectorShift, PeerUsers: 1}, "goes to others than the group"},
		{Run{Verdict: abi.Consume, Users: 7}, "consume"},
	} {
		run := test.run
		err := run.fromWire()
		got := run.Verdict.String()
		if err != nil {
			got = err.Error()
		} else if v, users, peerUsers := run.onWire(); v != test.run.Verdict || users != test.run.Users || peerUsers != test.run.PeerUsers {
			t.Errorf("%s is written as %v with %d and %d", got, v, users, peerUsers)
		}
		if !strings.Contains(got, test.want) {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}
