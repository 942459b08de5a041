package release_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/policy/release"
	"switchyard/policy/table"
	"switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// These tests run whole releases over a real hub: its stages judge and weigh, the machine decides
// once a second, and a made-up clock says when a second is over.

const (
	peers     = 10
	users     = 2000 // user u is at peer u%peers
	perTick   = 1000 // PDUs
	fuel      = 200_000
	quota     = 20_000_000
	farBehind = 1 << 40

	chats, reads = pdu.CID_MSG_DATA, pdu.CID_MSG_READ_NOTIFY
)

// A trial is a release under way in a hub with peers.
type trial struct {
	t       *testing.T
	random  *rand.Rand
	hub     *hub.Hub
	active  *policy.Active
	peers   []*hubtest.Peer
	split   *policy.Split
	machine *Release
	tallies []*policy.Tally
	shown   [2]any // state and share of the stage in force
	pdus    uint32

	vec [64][]byte // scratch of due
	got []byte
}

// startTrial begins a release in a hub of that many peers. The salt divides the users.
func startTrial(t *testing.T, p Plan, stable, candidate policy.Policy, seats int, salt uint64) *trial {
	r := &trial{t: t, random: rand.New(rand.NewPCG(salt, 1)), active: policytest.Active(stable), machine: New(p)}
	r.hub = hub.New(r.active, farBehind)
	for range seats {
		r.peers = append(r.peers, hubtest.Join(r.hub))
	}
	g := r.active.Acquire()
	r.split = &policy.Split{Stable: g, Candidate: policytest.Generation(candidate), Salt: salt, Users: table.SplitFields(),
		Fuel: fuel}
	r.split.SetRules(&policy.Rules{Quota: quota, TolerateFaults: p.Budget.Faults > 0})
	r.install()
	return r
}

// install puts the machine's stage in force, or the end of the release.
func (r *trial) install() {
	r.shown = [2]any{r.machine.State, r.machine.Share}
	switch {
	case r.machine.State == Done:
		r.split.Candidate.Acquire()
		r.active.Install(r.split.Candidate)
	case r.machine.State.Over():
		r.split.Stable.Acquire()
		r.active.Install(r.split.Stable)
	default:
		r.tallies = append(r.tallies, new(policy.Tally))
		r.active.Install(policy.NewStage(r.split, r.machine.Share, r.tallies[len(r.tallies)-1]))
	}
}

func (r *trial) close() {
	r.active.Close()
	r.split.Stable.Release()
	r.split.Candidate.Release()
}

// counts returns what was counted in all stages, and the sum of all commands.
func (r *trial) counts() (all policy.Weighed, sum policy.Weights) {
	for _, tally := range r.tallies {
		all.Add(r.hub.Weighed(tally))
	}
	return all, all.Sum()
}

// tick ends a second.
func (r *trial) tick() {
	all, _ := r.counts()
	if trip := r.split.Tripped(); trip != policy.NoTrip {
		r.machine.Handle(Trip, trip.String())
	} else {
		r.machine.Tick(Tick{Elapsed: time.Second, Counts: all})
	}
	r.hub.ResetBreaker()
	if r.shown != [2]any{r.machine.State, r.machine.Share} {
		r.install()
	}
}

// next makes a PDU of a random user to another one, with its number at the end. Of a hundred PDUs,
// 25 tell that a chat was read, and one that a user logged in.
func (r *trial) next() (from int, p []byte) {
	r.pdus++
	from = r.random.IntN(len(r.peers))
	user := func(peer int) uint64 {
		return uint64(peer%len(r.peers) + len(r.peers)*r.random.IntN(users/len(r.peers)))
	}
	at := 1 + r.random.IntN(len(r.peers)-2)
	body := binary.AppendUvarint([]byte{1 << 3}, user(from))
	switch kind := r.random.IntN(100); {
	case kind == 0:
		return from, pdutest.Online(pdutest.Stat(uint32(user(from)), 1, 1))
	case kind <= 25:
		return from, pdutest.Raw(reads, 0, append(body, number(r.pdus)...))
	}
	body = binary.AppendUvarint(append(body, 2<<3), user(from+at))
	body = binary.AppendUvarint(append(body, 3<<3), user(from+at+1))
	return from, pdutest.Raw(chats, 0, append(body, number(r.pdus)...))
}

// number is field 4, with a number of its PDU.
func number(n uint32) []byte { return binary.LittleEndian.AppendUint32([]byte{4<<3 | 5}, n) }

// one reports whether the body is one of those in thousand, by a hash of its number.
func one(in, thousand uint32, body []byte) bool {
	if len(body) < 5 {
		return false
	}
	x := binary.LittleEndian.Uint32(body[len(body)-4:]) * 0x9e3779b9
	x ^= x >> 15
	return x*0x85ebca6b>>8%thousand < in
}

// common are the rules of the stable policies.
func common() policytest.Rules {
	return policytest.Rules{chats: abi.BroadcastExceptSender, reads: abi.BroadcastExceptSender, pdu.CID_OTHER_ONLINE_USER_INFO: abi.Handle | abi.OnlineUserInfo<<32}
}

// says returns the common rules but for one command.
func says(c pdu.CommandID, v policy.Verdict) policy.Policy {
	rules := common()
	rules[c] = v
	return rules
}

// An inspector is the common rules but for one command, which it inspects. Each inspection uses
// that much fuel.
type inspector struct {
	policytest.Policy
	fuel uint64
}

func inspects(c pdu.CommandID, fuel uint64, on func(byIDs policy.Verdict, body []byte) (policy.Verdict, error)) policy.Policy {
	rules := common()
	rules[c] |= abi.InspectBodyOf
	return &inspector{policytest.Policy{OnClassify: rules.Classify,
		OnInspect: func(v policy.Verdict, q policy.Question) (policy.Verdict, error) {
			return on(policytest.Final(v), q.Body)
		}}, fuel}
}

func (i *inspector) Reserve(uint64) (policy.Reserved, error) { return instance{i}, nil }

type instance struct{ *inspector }

func (instance) Release()       {}
func (i instance) Fuel() uint64 { return i.fuel }

// rarely says v of some bodies in a thousand.
func rarely(in uint32, v policy.Verdict, err error) func(policy.Verdict, []byte) (policy.Verdict, error) {
	return func(byIDs policy.Verdict, body []byte) (policy.Verdict, error) {
		if one(in, 1000, body) {
			return v, err
		}
		return byIDs, nil
	}
}

// A bad candidate, and what is promised about it.
type bad struct {
	name              string
	stable, candidate policy.Policy
	found             string // by what
	ticks             int    // within
	most              uint64 // PDUs obeyed otherwise at 1 %; with share, of those of affected commands that the candidate may decide
	share             bool
}

func badPolicies() []bad {
	const to2, to23 = abi.Unicast | abi.ToFields<<16 | 1<<2<<32, abi.Unicast | abi.ToFields<<16 | (1<<2|1<<3)<<32
	handled := abi.Handle | abi.OnlineUserInfo<<32
	return []bad{
		{"traps on 1 % of bodies", common(), inspects(chats, 10, rarely(10, 0, policytest.Trap("trapped"))), "fault", 1, 0, false},
		{"uses 190,000 units of fuel", common(), inspects(chats, 190_000, rarely(0, 0, nil)), "fuel: 190000 units", 1, 0, false},
		{"drops one command", common(), says(reads, abi.Drop), "undelivered", 2, 0, true},
		{"drops 0.4 % of chats", common(), inspects(chats, 10, rarely(4, abi.Drop, nil)), "undelivered", 20, 3, false},
		{"doubles the copies", says(chats, to2), says(chats, to23), "copies", 3, 0, true},
		{"closes senders", common(), inspects(chats, 10, rarely(1000, abi.Close, nil)), "close", 1, 0, false},
		{"handles by its body", common(), inspects(chats, 10, rarely(100, policy.Verdict(handled), nil)), "presence", 1, 0, false},
		{"stops to handle", common(), inspects(pdu.CID_OTHER_ONLINE_USER_INFO, 10, rarelyOnline), "presence", 1, 0, false},
	}
}

// rarelyOnline broadcasts announcements instead of having them handled.
func rarelyOnline(policy.Verdict, []byte) (policy.Verdict, error) {
	return abi.BroadcastExceptSender, nil
}

// watched sends a PDU through the trial and through a hub with the stable policy alone, and reports
// whether any peer can tell the difference.
func (r *trial) watched(alone *trial) (otherwise bool) {
	from, p := r.next()
	r.peers[from].Send(r.t, p)
	alone.peers[from].Send(r.t, p)
	for i := range r.peers {
		if !bytes.Equal(r.due(i), alone.due(i)) {
			otherwise = true
		}
	}
	return otherwise
}

// due reads all that is due to a peer. It is valid until the next call.
func (r *trial) due(i int) []byte {
	r.got = r.got[:0]
	for _, piece := range r.peers[i].Due(r.vec[:0], r.hub.Head(), 1<<20) {
		r.got = append(r.got, piece...)
	}
	r.peers[i].Sent(len(r.got))
	return r.got
}

// control returns a hub like the trial's, with the stable policy alone.
func (r *trial) control(stable policy.Policy) *trial {
	c := &trial{t: r.t, active: policytest.Active(stable)}
	c.hub = hub.New(c.active, farBehind)
	for i := range r.peers {
		c.peers = append(c.peers, hubtest.Join(c.hub))
		var here []byte
		for u := i; u < users; u += len(r.peers) {
			here = append(here, pdutest.Online(pdutest.Stat(uint32(u), 1, 1))...)
		}
		r.peers[i].Send(r.t, here)
		c.peers[i].Send(r.t, here)
	}
	return c
}

func plan() Plan {
	return Plan{Stages: []float64{0.01, 0.1, 0.5}, Hold: time.Hour, Sample: 3000, MaxWait: 24 * time.Hour, OnQuiet: Wait, Bake: time.Minute, OnSuspicion: Wait,
		Fuel: fuel, Budget: Budget{Undelivered: 0.001, Copies: 0.25, Bytes: 0.25, Fuel: 4}}
}

// The release rolls every bad policy back. In shadow it has then routed no PDU as that policy says;
// at 1 % of the users it has routed at most a few PDUs otherwise than the stable policy says. A
// verdict that trips the release at its PDU is never carried out, even at 100 %.
func TestBadPolicies(t *testing.T) {
	for _, share := range []float64{0, 0.01, 1} {
		for _, c := range badPolicies() {
			if share == 1 && !slices.Contains(policy.Trips[:], c.found) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%g", c.name, share), func(t *testing.T) {
				t.Parallel()
				c.run(t, share)
			})
		}
	}
}

func (c bad) run(t *testing.T, share float64) {
	p := plan()
	shadow := share == 0
	p.Shadow, p.Stages = shadow, []float64{share}
	r := startTrial(t, p, c.stable, c.candidate, peers, 5)
	defer r.close()
	alone := r.control(c.stable)
	otherwise, ticks := uint64(0), 0
	for ; ticks < 100 && !r.machine.State.Over(); ticks++ {
		for range perTick {
			if r.watched(alone) {
				otherwise++
			}
		}
		r.tick()
	}
	all, sum := r.counts()
	t.Logf("%s after %d ticks and %d PDUs: %d obeyed otherwise, %d as the candidate says: %s", r.machine.State, ticks, r.pdus, otherwise, all.ByCandidate, r.machine.Reason)
	if r.machine.State != RolledBack || !strings.HasPrefix(r.machine.Reason, c.found) || ticks > c.ticks {
		t.Errorf("%s after %d ticks: %q, want it rolled back for %q within %d", r.machine.State, ticks, r.machine.Reason, c.found, c.ticks)
	}
	most := c.most
	switch {
	case shadow && all.ByCandidate > 0:
		t.Errorf("%d PDUs were obeyed in shadow", all.ByCandidate)
	case shadow:
		most = 0
	case c.share:
		most = sum.PDUs/100 + sum.PDUs/200 + 3 // users do not talk equally often
	}
	if otherwise > most || otherwise > all.ByCandidate {
		t.Errorf("%d PDUs were obeyed otherwise, %d as the candidate says; want %d at most", otherwise, all.ByCandidate, most)
	}
	if c.share && otherwise != all.ByCandidate {
		t.Errorf("%d PDUs were obeyed otherwise, want all %d that the candidate decides", otherwise, all.ByCandidate)
	}
	if spent := sum.Fuel[1]; spent > uint64(ticks)*quota+50*fuel {
		t.Errorf("the candidate used %d units of fuel in %d s", spent, ticks)
	}
	for i, peer := range r.peers {
		if len(peer.Closed) > 0 {
			t.Errorf("peer %d was closed: %v", i, peer.Closed)
		}
	}
	if r.watched(alone) {
		t.Error("a PDU after the end is obeyed otherwise")
	}
}

// A candidate that handles a command otherwise by its id is known before traffic.
func TestPresenceByIDs(t *testing.T) {
	stable, candidate := policytest.Generation(common()), policytest.Generation(says(pdu.CID_OTHER_ONLINE_USER_INFO, abi.BroadcastAll))
	defer stable.Release()
	defer candidate.Release()
	if rows := Compare(stable, candidate); len(rows.Presence) != 1 || rows.Presence[0] != pdu.CID_OTHER_ONLINE_USER_INFO || len(rows.Affected) != 1 {
		t.Errorf("%+v, want CID_OTHER_ONLINE_USER_INFO", rows)
	}
}

// A good policy reaches done, also beside a stable policy that traps, and each peer receives what
// it would receive without a release.
func TestGoodPolicies(t *testing.T) {
	for name, stable := range map[string]policy.Policy{
		"after a sound one":        common(),
		"after one that traps":     inspects(chats, 10, rarely(10, 0, policytest.Trap("trapped"))),
		"after one that is costly": inspects(chats, 190_000, rarely(0, 0, nil)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := plan()
			p.Shadow, p.Hold, p.Sample, p.Bake = true, time.Second, 200, 2*time.Second
			r := startTrial(t, p, stable, inspects(chats, 10, rarely(0, 0, nil)), peers, 11)
			defer r.close()
			alone := r.control(common())
			ticks := 0
			for ; ticks < 100 && !r.machine.State.Over(); ticks++ {
				for range 300 {
					if r.watched(alone) {
						t.Fatal("a PDU is obeyed otherwise")
					}
				}
				r.tick()
			}
			if all, sum := r.counts(); r.machine.State != Done || all.ByCandidate == 0 || sum.Faults > 0 {
				t.Errorf("%s after %d ticks: %s; %+v", r.machine.State, ticks, r.machine.Reason, sum)
			}
		})
	}
}
