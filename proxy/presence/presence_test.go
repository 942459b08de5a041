package presence

import (
	"math"
	"slices"
	"testing"
	"time"

	"switchyard/pdu/body"
)

const (
	windows = body.ClientWindows
	mac     = body.ClientMac
	ios     = body.ClientIOS
	android = body.ClientAndroid

	online  = body.Online
	offline = body.Offline
	away    = body.Leave
)

// Peers.
const (
	A Holder = 1 + iota
	B
	C
)

// What a status update may announce.
var (
	nothing  = Notices{}
	on       = Notices{Login: LoginOn}
	onBoth   = Notices{Login: LoginOn, Status: true}
	offBoth  = Notices{Login: LoginOff, Status: true}
	justStat = Notices{Status: true}
)

const someone = 300

// A report is one status update about someone, or a peer that leaves if left is set.
type report struct {
	by     Holder
	status body.Status
	client body.ClientType
	want   Notices
	left   bool
}

func leaves(by Holder) report { return report{by: by, left: true} }

func TestScenarios(t *testing.T) {
	for _, c := range []struct {
		name    string
		reports []report
		status  body.Status
		holders []Holder
	}{
		// Applying.
		{"unknown, offline", []report{{A, offline, windows, justStat, false}}, offline, nil},
		{"unknown, online", []report{{A, online, windows, onBoth, false}}, online, []Holder{A}},
		{"unknown, leave registers", []report{{A, away, mac, onBoth, false}}, online, []Holder{A}},
		{"known, offline from another", []report{
			{A, online, windows, onBoth, false},
			{B, offline, windows, nothing, false}}, online, []Holder{A}},
		{"known, online from another", []report{
			{A, online, windows, onBoth, false},
			{B, online, mac, onBoth, false}}, online, []Holder{A, B}},
		{"known, another type goes offline", []report{
			{A, online, windows, onBoth, false},
			{A, offline, mac, nothing, false}}, online, []Holder{A}},
		{"known, last count goes", []report{
			{A, online, windows, onBoth, false},
			{A, offline, windows, justStat, false}}, offline, nil},
		{"known, last count goes, another holder stays", []report{
			{A, online, windows, onBoth, false},
			{B, online, windows, onBoth, false},
			{A, offline, windows, nothing, false},
			{A, offline, windows, offBoth, false}}, offline, []Holder{B}},

		// Announcing.
		{"mobile, any number is there", []report{
			{A, 0, ios, nothing, false},
			{A, 77, android, nothing, false},
			{A, math.MaxUint32, android, nothing, false}}, offline, []Holder{A}},
		{"mobile with a PC", []report{
			{A, online, windows, onBoth, false},
			{A, online, ios, on, false},
			{A, away, android, on, false},
			{A, offline, ios, nothing, false}}, online, []Holder{A}},
		{"mobile offline, unknown", []report{{A, offline, android, nothing, false}}, offline, nil},
		{"PC offline, phone left", []report{
			{A, online, ios, nothing, false},
			{A, online, windows, onBoth, false},
			{A, offline, windows, offBoth, false}}, offline, []Holder{A}},
		{"PC offline, other PC left", []report{
			{A, online, mac, onBoth, false},
			{A, online, windows, onBoth, false},
			{A, offline, windows, nothing, false}}, online, []Holder{A}},
		{"PC offline from another, no PC", []report{
			{A, online, ios, nothing, false},
			{B, offline, windows, offBoth, false}}, offline, []Holder{A}},
		{"the last phone", []report{
			{A, online, ios, nothing, false},
			{A, offline, ios, nothing, false}}, offline, nil},

		// Consequences.
		{"online twice, offline once", []report{
			{A, online, windows, onBoth, false},
			{A, online, windows, onBoth, false},
			{A, offline, windows, nothing, false}}, online, []Holder{A}},
		{"online, leave, offline", []report{
			{A, online, windows, onBoth, false},
			{A, away, windows, onBoth, false},
			{A, offline, windows, nothing, false}}, online, []Holder{A}},
		{"the PC's peer leaves, the phone's stays", []report{
			{A, online, windows, onBoth, false},
			{B, online, ios, on, false},
			leaves(A),
			{B, online, ios, on, false},
			{C, offline, windows, nothing, false}}, online, []Holder{B}},
		{"and takes the PC away", []report{
			{A, online, windows, onBoth, false},
			{B, online, ios, on, false},
			leaves(A),
			{B, offline, windows, offBoth, false}}, offline, []Holder{B}},
		{"two PCs, offline from each", []report{
			{A, online, windows, onBoth, false},
			{B, online, windows, onBoth, false},
			{A, offline, windows, nothing, false},
			{B, offline, windows, offBoth, false},
			{B, offline, windows, offBoth, false},
			{C, offline, mac, offBoth, false}}, offline, []Holder{A}},
		{"and once more from the one that stayed", []report{
			{A, online, windows, onBoth, false},
			{B, online, windows, onBoth, false},
			{A, offline, windows, nothing, false},
			{B, offline, windows, offBoth, false},
			{A, offline, windows, justStat, false}}, offline, nil},
		{"a peer comes back while another holds the user", []report{
			{A, online, windows, onBoth, false},
			{B, online, windows, onBoth, false},
			leaves(A),
			{C, online, windows, onBoth, false},
			{C, offline, windows, nothing, false},
			{C, offline, windows, nothing, false}}, online, []Holder{B, C}},
		{"a peer comes back alone", []report{
			{A, online, windows, onBoth, false},
			leaves(A),
			{C, online, windows, onBoth, false},
			{C, offline, windows, justStat, false}}, offline, nil},
		{"all leave", []report{
			{A, online, windows, onBoth, false},
			{B, online, windows, onBoth, false},
			leaves(A), leaves(B)}, offline, nil},
	} {
		for _, done := range []bool{true, false} { // leaving is done with at once, or later
			d := New()
			for i, r := range c.reports {
				if r.left {
					if more := d.Leave(r.by, 0); more && done {
						d.Leave(r.by, 100)
					}
				} else if got := d.Update(r.by, body.ServerUserStat{User: someone, Status: r.status, Client: r.client}); got != r.want {
					t.Errorf("%s: report %d: got %+v, want %+v", c.name, i+1, got, r.want)
				}
			}
			checkInvariants(t, d)
			if got := d.Status(someone); got != c.status {
				t.Errorf("%s: got status %d, want %d", c.name, got, c.status)
			}
			got := d.Holders(someone, nil)
			if slices.Sort(got); !slices.Equal(got, c.holders) {
				t.Errorf("%s: got holders %v, want %v", c.name, got, c.holders)
			}
		}
	}
}

// An entry of 0x0708 changes the same as a status update, without notices.
func TestApplyCountsLikeUpdate(t *testing.T) {
	d := New()
	for range 2 {
		d.Apply(A, body.ServerUserStat{User: someone, Status: online, Client: windows})
	}
	for i, want := range []Notices{nothing, justStat, justStat} {
		if got := d.Update(A, body.ServerUserStat{User: someone, Status: offline, Client: windows}); got != want {
			t.Errorf("offline %d: got %+v, want %+v", i+1, got, want)
		}
	}
}

func TestHoldersAppends(t *testing.T) {
	d := New()
	d.Apply(B, body.ServerUserStat{User: someone, Status: online, Client: ios})
	if got, want := d.Holders(someone, []Holder{A}), []Holder{A, B}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := d.Holders(someone+1, []Holder{A}), []Holder{A}; !slices.Equal(got, want) {
		t.Errorf("unknown user: got %v, want %v", got, want)
	}
}

func TestClientTypesAreCountedApart(t *testing.T) {
	var u user
	for i, client := range []body.ClientType{windows, mac, ios, android} {
		*u.count(client) = uint32(i + 1)
	}
	if got, want := u.counts, [4]uint32{1, 2, 3, 4}; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCountStopsAtTheLargest(t *testing.T) {
	d := New()
	d.Apply(A, body.ServerUserStat{User: someone, Status: online, Client: mac})
	u := d.users[someone]
	*u.count(mac) = math.MaxUint32
	d.users[someone] = u
	d.Apply(A, body.ServerUserStat{User: someone, Status: online, Client: mac})
	if u := d.users[someone]; *u.count(mac) != math.MaxUint32 || d.Status(someone) != online {
		t.Errorf("got count %d, want %d", *u.count(mac), uint32(math.MaxUint32))
	}
}

// An offline report about an unknown user leaves no trace of peer or user.
func TestOfflineOfNobodyKeepsNothing(t *testing.T) {
	d := New()
	for h := range Holder(1000) {
		d.Update(h, body.ServerUserStat{User: uint32(h), Status: offline, Client: windows})
	}
	if d.Users() != 0 || len(d.byHolder) != 0 {
		t.Errorf("got %d users and %d peers, want none", d.Users(), len(d.byHolder))
	}
}

func TestLeaveInSteps(t *testing.T) {
	d := New()
	for id := range uint32(1000) {
		d.Apply(A, body.ServerUserStat{User: id, Status: online, Client: windows})
		d.Apply(B, body.ServerUserStat{User: id / 2, Status: online, Client: windows})
	}
	steps := 1
	for d.Leave(A, 100) {
		if d.Status(999) != offline || d.Holders(999, nil) != nil {
			t.Errorf("after %d steps A's user is still present", steps)
		}
		if got := d.Holders(0, nil); d.Status(0) != online || !slices.Equal(got, []Holder{B}) {
			t.Errorf("after %d steps user 0 has holders %v, want B", steps, got)
		}
		checkInvariants(t, d)
		steps++
	}
	if want := 10; steps != want {
		t.Errorf("got %d steps, want %d", steps, want)
	}
	if d.Users() != 500 || d.Leave(C, 1) {
		t.Errorf("got %d users, want those of B", d.Users())
	}
	d.Leave(B, 1000)
	if d.Users() != 0 {
		t.Errorf("got %d users, want none", d.Users())
	}
}

// Peers and users that come and go all the time need no more memory than those that are
// present at once.
func TestRoomIsUsedAgain(t *testing.T) {
	d := New()
	for round := range Holder(200) {
		for id := range uint32(50) {
			for h := range Holder(3) {
				d.Apply(3*round+h, body.ServerUserStat{User: id, Status: online, Client: ios})
			}
		}
		for h := range Holder(3) {
			for d.Leave(3*round+h, 7) {
			}
		}
	}
	checkInvariants(t, d)
	if got, want := len(d.peers), 1+3; got != want {
		t.Errorf("got room for %d peers, want %d", got, want)
	}
	if got, want := d.more.n, 1+2*50; got != want {
		t.Errorf("got room for %d holdings, want %d", got, want)
	}
}

// A look-up does not take longer because many peers are leaving.
func TestLookUpsWhileManyLeave(t *testing.T) {
	const users, perPeer = 2000, 3
	lookUps := func(leaving int) time.Duration {
		d := New()
		for p := range leaving {
			for u := range perPeer {
				d.Apply(Holder(p+1), body.ServerUserStat{User: uint32(p*perPeer + u), Status: body.Online, Client: body.ClientWindows})
			}
		}
		for u := range uint32(users) {
			d.Apply(Holder(leaving+1), body.ServerUserStat{User: 10_000_000 + u, Status: body.Online, Client: body.ClientWindows})
		}
		for p := range leaving {
			d.Leave(Holder(p+1), 0)
		}
		best := time.Hour
		for range 5 {
			start := time.Now()
			for u := range uint32(users) {
				d.Status(10_000_000 + u)
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	quiet, busy := lookUps(0), lookUps(8000)
	if busy > 50*quiet { // it was thousands of times as long
		t.Errorf("%d look-ups took %v with 8000 peers leaving, and %v with none", users, busy, quiet)
	}
}
