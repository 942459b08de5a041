package hub_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"weak"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

func TestStageChanges(t *testing.T) { stageChanges(t, 60, 3) }

// stageChanges begins, grows, trips, ends and replaces releases, while peers send. Each
// receiver gets every sender's PDUs in order and none twice, and the holder of the user to
// whom the candidates send gets all of them. The counts add up, and every policy is closed
// once.
func stageChanges(t *testing.T, changes, senders int) {
	var sent atomic.Uint64
	releases := &releases{active: policytest.Active(commonRules()), rnd: rand.New(rand.NewPCG(9, 9)), sent: &sent}
	h := New(releases.active, 1<<40)
	holder, other := &orderReader{Peer: hubtest.Join(h)}, &orderReader{Peer: hubtest.Join(h)}
	holder.Send(t, online(2))
	var stop, stopReading atomic.Bool
	var reading, talking sync.WaitGroup
	for _, r := range []*orderReader{holder, other} {
		r.next = make([]uint32, senders)
		reading.Go(func() { r.readUntil(&stopReading) })
	}
	numbers := make([]uint32, senders)
	for i := range senders {
		p := hubtest.Join(h)
		talking.Go(func() {
			vec := make([][]byte, 0, 16)
			for !stop.Load() {
				var batch []byte
				for range 7 {
					numbers[i]++
					batch = append(batch, numbered(i, numbers[i])...)
				}
				p.Send(t, batch)
				p.Discard(vec, h.Head())
				for sent.Add(7); sent.Load() > holder.pdus.Load()+20_000 && !stop.Load(); { // else the log grows
					runtime.Gosched()
				}
			}
		})
	}
	for releases.stages < changes {
		releases.one()
	}
	stop.Store(true)
	talking.Wait()
	stopReading.Store(true)
	reading.Wait()
	releases.active.Close()

	for i, n := range numbers {
		if holder.next[i] != n || other.next[i] > n {
			t.Errorf("sender %d sent %d PDUs; the holder got up to %d, the other one up to %d", i, n, holder.next[i], other.next[i])
		}
	}
	if holder.wrong != "" || other.wrong != "" || holder.skipped {
		t.Errorf("holder: %s, %v; other: %s", holder.wrong, holder.skipped, other.wrong)
	}
	releases.check(t, h)
}

// releases installs generations as releases do.
type releases struct {
	active   *policy.Active
	rnd      *rand.Rand
	sent     *atomic.Uint64 // PDUs so far
	stages   int
	tallies  []*policy.Tally
	policies []*policytest.Policy
}

func (r *releases) generation(rules policytest.Rules) *policy.Generation {
	p := &policytest.Policy{OnClassify: rules.Classify}
	r.policies = append(r.policies, p)
	return policytest.Generation(p)
}

// one makes one release, of some stages.
func (r *releases) one() {
	stable, candidate := r.generation(commonRules()), r.generation(with(others, abi.Unicast|abi.ToUser<<16|2<<32))
	split := &policy.Split{Stable: stable, Candidate: candidate, Salt: r.rnd.Uint64(), Users: chatUsers}
	tally := new(policy.Tally)
	for share := 0.0; ; share = min(1, share+r.rnd.Float64()) {
		if r.rnd.IntN(2) == 0 {
			tally = new(policy.Tally)
		}
		if len(r.tallies) == 0 || r.tallies[len(r.tallies)-1] != tally {
			r.tallies = append(r.tallies, tally)
		}
		r.active.Install(policy.NewStage(split, share, tally))
		r.stages++
		if r.rnd.IntN(6) == 0 {
			split.Trip(policy.TripBudget)
		}
		if r.rnd.IntN(2) == 0 { // else the next stage may follow before the senders run at all
			for before := r.sent.Load(); r.sent.Load() == before; {
				runtime.Gosched()
			}
		}
		if share == 1 || r.rnd.IntN(4) == 0 {
			break
		}
	}
	switch r.rnd.IntN(3) {
	case 0: // done
		candidate.Acquire()
		r.active.Install(candidate)
	case 1: // rolled back
		stable.Acquire()
		r.active.Install(stable)
	} // else: superseded by the next one
	stable.Release()
	candidate.Release()
}

// check checks the sums, when all is over.
func (r *releases) check(t *testing.T, h *Hub) {
	c := hubtest.Conserved(t, h)
	sum, weighed := c.Unstaged, false
	for _, tally := range r.tallies {
		all := h.Weighed(tally)
		sum += all.Alike + all.ByStable + all.ByCandidate
		weighed = weighed || all.ByStable > 0 && all.ByCandidate > 0
	}
	if sum != c.Received {
		t.Errorf("%d PDUs counted by stages and without, %d received", sum, c.Received)
	}
	if !weighed {
		t.Error("no stage had both units that obeyed the candidate and units that did not")
	}
	for i, p := range r.policies {
		if got := p.Closed.Load(); got != 1 {
			t.Fatalf("policy %d of %d was closed %d times", i, len(r.policies), got)
		}
	}
}

// numbered returns the PDU with that number of the sender. Its user depends on the number.
func numbered(sender int, n uint32) []byte {
	body := binary.BigEndian.AppendUint32([]byte{15<<3 | 5}, n)
	body = append(body, 2<<3, byte(sender))
	return message(others, 1, string(binary.AppendUvarint(append(body, 1<<3), uint64(n%1000))))
}

// An orderReader checks the numbers of the PDUs that a peer receives.
type orderReader struct {
	*hubtest.Peer
	pdus    atomic.Uint64
	next    []uint32 // the last number of each sender
	skipped bool     // some numbers did not come
	wrong   string
}

// readUntil reads until stop is set and nothing more is due.
func (r *orderReader) readUntil(stop *atomic.Bool) {
	for last := false; ; last = stop.Load() {
		if r.ReadSome(1<<20, 1<<20) > 0 {
			r.take()
		} else if last {
			return
		} else {
			runtime.Gosched()
		}
	}
}

// take checks the whole PDUs that were read.
func (r *orderReader) take() {
	for len(r.Got) >= pdu.HeaderLen && len(r.Got) >= int(pdu.ParseHeader(r.Got).Length) {
		p, rest := CutPDU(r.Got)
		r.Got = rest
		body := p[pdu.HeaderLen:]
		n, sender := binary.BigEndian.Uint32(body[1:]), body[6]
		if n <= r.next[sender] {
			r.wrong = fmt.Sprintf("number %d of sender %d follows %d", n, sender, r.next[sender])
		}
		r.skipped = r.skipped || n != r.next[sender]+1
		r.next[sender] = n
		r.pdus.Add(1)
	}
}

// An idle peer keeps no stage alive that it once sent PDUs in.
func TestStagesAreForgotten(t *testing.T) {
	h := stage(commonRules(), with(others, abi.Drop), 1)
	idle := hubtest.Join(h.Hub)
	g := h.active.Acquire()
	stage := weak.Make(g.Stage())
	g.Release()
	idle.Send(t, message(others, 1, "\x08\x01"))
	h.active.Install(policytest.Generation(commonRules()))
	g, h.split = nil, nil
	runtime.GC()
	if stage.Value() != nil {
		t.Error("the stage is still in memory")
	}
	runtime.KeepAlive(idle)
}
