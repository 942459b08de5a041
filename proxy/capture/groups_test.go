package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
	"switchyard/proxy/tenant"
)

// in returns the membership of a peer in these groups.
func in(t testing.TB, muted bool, names ...string) *hub.Membership {
	t.Helper()
	m := &hub.Membership{Muted: muted}
	for _, name := range names {
		g, err := policy.GroupNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		m.Groups = append(m.Groups, g)
	}
	return m
}

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

// A capture has the groups of the peers that are there, before their users, and then each change.
func TestGroupsOfPeers(t *testing.T) {
	h := newHub()
	a, b := hubtest.Join(h), hubtest.Join(h)
	first := in(t, true, "archive", "admin")
	b.SetMembership(first)
	b.Send(t, pdutest.Online(pdutest.Stat(7, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_WINDOWS)))
	l := record(t, t.Context(), Options{Bodies: true, PDUs: 1}, h)
	want := func(kind Kind, session uint64, known bool, m *hub.Membership) {
		t.Helper()
		if rec := l.next(); rec.Kind != kind || rec.Session != session || rec.Known != known || !reflect.DeepEqual(rec.Membership, m) {
			t.Fatalf("got %+v in %+v, want %v of session %d in %+v, known %t", rec, rec.Membership, kind, session, m, known)
		}
	}
	want(Grouped, 2, true, first)
	want(PDU, 2, true, nil) // its users
	a.SetMembership(first)
	want(Grouped, 1, false, first)
	a.SetMembership(nil)
	want(Grouped, 1, false, nil)
	h.Connect(new(hubtest.Peer), in(t, false, "guests")).Begin()
	want(Joined, 3, false, nil)
	want(Grouped, 3, false, in(t, false, "guests"))
	a.Send(t, pdutest.Heartbeat())
	l.end(endedPDUs)
}

// Groups that no peer can be in are refused.
func TestDamagedGroups(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat(strings.Repeat("a", 40)+",", tenant.MaxGroups+1), ",")
	for _, c := range []struct {
		flags byte
		names string
		cut   int // bytes that were not kept
		want  string
	}{
		{flagKnown, "admin,Bad", 0, `"Bad" is not a group's name`},
		{0, "admin,", 0, `"" is not a group's name`},
		{0, "admin,master", 0, "stands for the peers that declared themselves master"},
		{0, "admin,http,admin", 0, "admin is named twice"},
		{flagMuted, "", 0, "gets no broadcasts, and is in no group"},
		{0, "adm", 2, "3 bytes of 5 with the names"},
		{0, many, 0, "1352 bytes of 1352 with the names"},
	} {
		packet := (&Record{Kind: Grouped}).appendInfo(nil)
		packet[len(prefix)+2] = c.flags
		packet = append(packet, c.names...)
		if err := new(Record).parse(packet, uint32(len(packet)+c.cut)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.names, err, c.want)
		}
	}
}

// The longest record of groups fits into the size by which a capture with a limit of bytes ends.
func TestSizeOfGroups(t *testing.T) {
	var names []string
	for i := range tenant.MaxGroups {
		names = append(names, fmt.Sprintf("%02d-%037d", i, 0))
	}
	rec := Record{Time: someTime, Kind: Grouped, Known: true, Missed: 1, Membership: in(t, true, names...)}
	before := write(t, []Tenant{{Name: "default"}}, nil)
	whole := write(t, []Tenant{{Name: "default"}}, []Record{rec})
	if n := int64(len(whole) - len(before)); n > size(&rec) {
		t.Errorf("a record takes %d bytes, and at most %d are reckoned with", n, size(&rec))
	}
	r := NewReader(bytes.NewReader(whole))
	if got, err := r.Next(); err != nil || !reflect.DeepEqual(got.Membership, rec.Membership) {
		t.Errorf("read as %+v, %v", got, err)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
