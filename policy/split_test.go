package policy_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"switchyard/pdu"
	. "switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
)

// A unit stays on its side while the share grows and when its connection changes, and
// another release has other units first.
func TestSplitIsMonotoneAndSticky(t *testing.T) {
	const units = 100_000
	s := &Split{Stable: policytest.Generation(policytest.Always(abi.BroadcastAll)), Candidate: policytest.Generation(policytest.Always(abi.Drop)), Salt: 1, Users: users()}
	obeysCandidate := func(s *Split, share float64, connection uint64) []bool {
		g := NewStage(s, share, new(Tally))
		defer g.Release()
		in := make([]bool, units)
		b := g.Begin(1, 0, nil)
		defer b.Release()
		var c Comparison
		b.Compare(&c, connection)
		for user := range in {
			b.Judge(from(otherCommand, uint32(user)))
			in[user] = c.Side == Candidate
		}
		return in
	}
	var before []bool
	for _, share := range []float64{0, 0.01, 0.1, 0.5, 1} {
		in, n := obeysCandidate(s, share, 1), 0
		for user, is := range in {
			if is {
				n++
			} else if before != nil && before[user] {
				t.Fatalf("user %d left the candidate when the share grew to %v", user, share)
			}
		}
		if got := float64(n) / units; math.Abs(got-share) > 0.003 {
			t.Errorf("share %v: %v of the users", share, got)
		}
		before = in
	}
	first, again := obeysCandidate(s, 0.1, 1), obeysCandidate(s, 0.1, 2)
	second := obeysCandidate(&Split{Stable: s.Stable, Candidate: s.Candidate, Salt: 2, Users: users()}, 0.1, 1)
	both := 0
	for user := range first {
		if first[user] != again[user] {
			t.Fatalf("user %d depends on the connection", user)
		}
		if first[user] && second[user] {
			both++
		}
	}
	if both > units*2/100 {
		t.Errorf("%d of %d users are the first of both releases", both, units/10)
	}
	s.Stable.Release()
	s.Candidate.Release()
}

// The sides of a release stay the same after a restart and in later versions of the program.
func TestSplitNeverChanges(t *testing.T) {
	g, _ := stageOf(t, policytest.Always(abi.BroadcastAll), policytest.Always(abi.Drop), 0.5)
	var users, connections string
	for i := range uint32(24) {
		_, _, user := compared(g, from(otherCommand, i), 0)
		_, _, connection := compared(g, pdu.Append(nil, pdu.SID_MSG, otherCommand, 1, nil), ConnectionKey(string(rune('a'+i))))
		users, connections = users+fmt.Sprint(user.Side), connections+fmt.Sprint(connection.Side)
	}
	if want := "221212222111112111221121"; users != want {
		t.Errorf("sides of users %s, want %s", users, want)
	}
	if want := "222111111112111122111112"; connections != want {
		t.Errorf("sides of connections %s, want %s", connections, want)
	}
}

// What a PDU belongs to: the first value of its user field, else its connection.
func TestSplitUnit(t *testing.T) {
	body := func(b string) []byte { return pdu.Append(nil, pdu.SID_MSG, otherCommand, 1, []byte(b)) }
	g, s := stageOf(t, policytest.Always(abi.BroadcastAll), policytest.Always(abi.Drop), 0.5)
	side := func(p []byte, connection uint64) Side {
		_, _, c := compared(g, p, connection)
		return c.Side
	}
	same := func(name string, p []byte, user uint32) {
		t.Helper()
		for connection := range uint64(20) {
			if side(p, connection) != side(from(otherCommand, user), 0) {
				t.Fatalf("%s does not go by user %d", name, user)
			}
		}
	}
	same("field 1", body("\x08\x05"), 5)
	same("field 1 behind others", body("\x12\x02ab\x15abcd\x19abcdefgh\x18\x07\x08\x06"), 6)
	same("field 1 twice", body("\x08\x03\x08\x04"), 3)
	for _, p := range [][]byte{
		body(""), body("\x10\x05"), body("\x08"), body("\x08\xff"), body("\x12\x7fab"), body("\x0b\x08\x05"), body("\x0a\x05"), body("\x00\x01\x08\x05"), body(strings.Repeat("\x10\x01", 32) + "\x08\x05"), body("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		pdu.Append(nil, pdu.SID_OTHER, 0x9999, 1, []byte("\x08\x05")),
	} {
		sides := 0
		for connection := range uint64(20) {
			if side(p, connection) == Candidate {
				sides++
			}
		}
		if sides == 0 || sides == 20 {
			t.Errorf("% x does not go by its connection: %d of 20 obey the candidate", p[pdu.HeaderLen:], sides)
		}
	}
	s.Unit = UnitConnection
	if side(from(otherCommand, 1), ConnectionKey("a")) == Candidate != (side(from(otherCommand, 2), ConnectionKey("a")) == Candidate) {
		t.Error("the user matters although the connection is the unit")
	}
}

// The share of the units is that of the stage for whatever the units are called: users with numbers in a
// row or far apart, peers with addresses of one network or names.
func TestShareOfManyUnits(t *testing.T) {
	const units, share = 20_000, 0.01
	names := map[string]func(uint32) uint64{
		"users":     func(n uint32) uint64 { return uint64(n) },
		"far apart": func(n uint32) uint64 { return uint64(n * 65_536) },
		"addresses": func(n uint32) uint64 { return ConnectionKey(fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255)) },
		"names":     func(n uint32) uint64 { return ConnectionKey(fmt.Sprintf("msg-%d.example.org", n)) },
	}
	for name, key := range names {
		for salt := range uint64(5) {
			g, s := stageOf(t, policytest.Always(abi.BroadcastAll), policytest.Always(abi.Drop), share)
			s.Salt, s.Unit = salt*0x9e3779b97f4a7c15, UnitConnection
			n := 0
			for unit := range uint32(units) {
				if _, _, c := compared(g, from(otherCommand, 1), key(unit)); c.Side == Candidate {
					n++
				}
			}
			if got := float64(n) / units; math.Abs(got-share) > 0.0035 { // five standard deviations
				t.Errorf("%s, release %d: %.4f of the units obey the candidate, want %v", name, salt, got, share)
			}
		}
	}
}

// NextUnitAt returns the share at which the first unit would obey the candidate.
func TestNextUnitAt(t *testing.T) {
	s := &Split{Stable: policytest.Generation(policytest.Always(abi.BroadcastAll)), Candidate: policytest.Generation(policytest.Always(abi.Drop)), Salt: 7, Users: users()}
	defer s.Stable.Release()
	defer s.Candidate.Release()
	obey := func(share float64) (n int) {
		g := NewStage(s, share, new(Tally))
		defer g.Release()
		for user := range uint32(3) {
			if _, _, c := compared(g, from(otherCommand, user), 1); c.Side == Candidate {
				n++
			}
		}
		return n
	}
	if obey(0); s.NextUnitAt() != 0 {
		t.Errorf("next unit at %v in shadow", s.NextUnitAt())
	}
	if n := obey(0.0001); n != 0 {
		t.Fatalf("%d of 3 users obey the candidate, want others for this test", n)
	}
	next := s.NextUnitAt()
	if n := obey(next - 1e-9); n != 0 {
		t.Errorf("%d users obey the candidate below a share of %v", n, next)
	}
	if n := obey(next + 1e-9); n != 1 {
		t.Errorf("%d users obey the candidate above a share of %v, want 1", n, next)
	}
}

// The smallest share of few connections has one of those that the release affects.
func TestSplitOfFewConnections(t *testing.T) {
	s := &Split{Stable: policytest.Generation(policytest.Always(abi.BroadcastAll)), Candidate: policytest.Generation(policytest.Always(abi.Drop)), Unit: UnitConnection}
	defer s.Stable.Release()
	defer s.Candidate.Release()
	peers := []uint64{ConnectionKey("msg-1"), ConnectionKey("msg-2"), ConnectionKey("msg-3")}
	count := func(g *Generation) (n int) {
		defer g.Release()
		for _, peer := range peers {
			if _, _, c := compared(g, from(otherCommand, 1), peer); c.Side == Candidate {
				n++
			}
		}
		return n
	}
	if n := count(NewStage(s, 0, new(Tally))); n != 0 {
		t.Errorf("%d peers obey the candidate in shadow", n)
	}
	g := NewStage(s, 0.000001, new(Tally))
	if g.Stage().EffectiveShare() <= 0.000001 {
		t.Errorf("effective share %v", g.Stage().EffectiveShare())
	}
	if n := count(g); n != 1 {
		t.Errorf("%d of 3 peers obey the candidate, want 1", n)
	}
}

// Once a stage has raised its share to include a connection, the next one is raised to the same, although the
// end of the shadow meanwhile met a connection with a lower bucket.
func TestRaisedShareNeverFalls(t *testing.T) {
	s := &Split{Stable: policytest.Generation(policytest.Always(abi.BroadcastAll)), Candidate: policytest.Generation(policytest.Always(abi.Drop)), Unit: UnitConnection}
	defer s.Stable.Release()
	defer s.Candidate.Release()
	share := func(share float64) float64 {
		g := NewStage(s, share, new(Tally))
		defer g.Release()
		return g.Stage().EffectiveShare()
	}
	shadow := NewStage(s, 0, new(Tally))
	defer shadow.Release()
	compared(shadow, from(otherCommand, 1), ConnectionKey("msg-1"))
	raised := share(0.000001)
	for i := range 100 {
		compared(shadow, from(otherCommand, 1), ConnectionKey(fmt.Sprint(i)))
	}
	if got := share(0.000002); got != raised || s.LeastShare() != raised || raised < 0.1 {
		t.Errorf("the share falls from %v to %v, least share %v", raised, got, s.LeastShare())
	}
	if got := share(0.9999); math.Abs(got-0.9999) > 1e-9 {
		t.Errorf("a larger share is %v", got)
	}
}
