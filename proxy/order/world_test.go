package order_test

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/order"
	"switchyard/proxy/order/ordertest"
)

// A world is hubs that agree on one order through a log that does what it likes, in fake time.
// Instead of a user table each has a sum of everything that counted, which differs for good as soon
// as two hubs count differently.

const (
	memberTimeout = 5 * time.Second
	donorTimeout  = 5 * time.Second
	tick          = 10 * time.Millisecond
)

var seed = maphash.MakeSeed()

type world struct {
	*testing.T
	log     *ordertest.Log
	random  *rand.Rand
	now     time.Time
	hubs    []*hub
	letters []letter

	counted   map[order.Position]order.Record // what counted about sessions
	sums      map[order.Position]uint64       // of whoever has read up to there
	said      map[uint64]uint64               // how many messages, by process
	forgotten map[order.Position]uint64       // processes that may say things again from here on
	processes uint64
	entered   int // how often hubs entered
	imported  int
	founded   int
	messages  int  // of a hub in a tick, at most
	long      bool // some batches are longer than a record
}

// A letter is the state that a donor has sent.
type letter struct {
	at    time.Time
	from  *hub
	to    order.Origin
	state []byte
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{T: t, log: ordertest.NewLog(seed), random: rand.New(rand.NewPCG(seed, 1)), messages: 1, now: time.Unix(1_000_000, 0),
		counted: make(map[order.Position]order.Record), sums: make(map[order.Position]uint64), said: make(map[uint64]uint64), forgotten: make(map[order.Position]uint64)}
}

// A hub is the rim around an Outbox and Members, as proxy/cluster has it.
type hub struct {
	*world
	number  uint16
	process uint64
	outbox  *order.Outbox
	members *order.Members
	census  *order.Census

	read       order.Position
	enteredAt  order.Position // of our Enter, once it was read
	waitsFrom  time.Time      // since when we have waited for the donor
	foundSaid  bool
	member     order.Origin // as which it was a member last
	missed     bool         // it has fallen out since it was last a member
	unanswered bool         // no donor has answered an Enter since the hub was last a member
	kept       []order.Entry
	beatAt     time.Time
	goneAt     time.Time
	stalled    time.Time // until when it does nothing
	leaving    bool
	over       bool

	sum      uint64
	checked  order.TableSum
	beats    int
	wrong    bool // its table is damaged by the test
	whys     []string
	messages int // in a tick, at most
}

// start adds a hub.
func (w *world) start(number uint16) *hub {
	w.processes++
	h := &hub{world: w, number: number, process: w.processes, members: order.NewMembers(memberTimeout), messages: w.messages}
	h.outbox = order.NewOutbox(number, w.random.Uint32(), 64<<10, 1<<20)
	h.begin("start")
	w.hubs = append(w.hubs, h)
	return h
}

// begin reads from the end of the log on.
func (h *hub) begin(why string) {
	h.census = order.NewCensus(h.number, h.process)
	for _, e := range h.log.Last() {
		if r, err := order.Parse(e.Record); err == nil {
			h.census.Note(h.now, e, &r)
		}
	}
	h.census.Begin()
	h.read, h.missed = h.log.Head(), true
	h.enter(why)
}

func (h *hub) self() order.Origin { return h.outbox.Origin() }

// enter enters, again if it is a member.
func (h *hub) enter(why string) {
	h.world.entered++
	h.whys = append(h.whys, fmt.Sprintf("%s at %v", why, h.now.Sub(time.Unix(1_000_000, 0))))
	h.outbox.Enter(h.random.Uint32())
	h.members.Begin(h.self())
	h.enteredAt, h.kept, h.foundSaid, h.beatAt = order.Position{}, nil, false, h.now
	h.outbox.Say(&order.Record{Kind: order.Enter, After: h.read, Facts: h.facts()})
}

func (h *hub) facts() order.Facts {
	return order.Facts{Formats: order.Range{Least: 1, Most: 1}, Process: h.process, Entering: !h.members.In(), Table: h.checked}
}

// beat does what is due.
func (h *hub) duties() {
	if h.now.Sub(h.beatAt) >= time.Second {
		h.beatAt = h.now
		facts := h.facts()
		h.beats++
		donor, _ := h.members.Donor(order.Origin{})
		facts.Check = donor == h.self() && h.beats%3 == 0
		h.outbox.Say(&order.Record{Kind: order.Beat, Facts: facts})
	}
	if due := h.members.Due(h.now); len(due) > 0 && h.now.Sub(h.goneAt) > time.Second {
		h.goneAt = h.now
		h.outbox.Say(&order.Record{Kind: order.Gone, About: due[0]})
	}
	if h.members.In() || h.enteredAt == (order.Position{}) {
		return
	}
	switch {
	case !h.foundSaid && h.census.MayFound(h.now, h.enteredAt, memberTimeout, h.unanswered):
		h.foundSaid = true
		h.outbox.Say(&order.Record{Kind: order.Found, After: h.enteredAt, Facts: h.facts()})
	case h.now.Sub(h.waitsFrom) > donorTimeout:
		h.unanswered = true
		h.enter("donor")
	}
}

// message says what a peer sent.
func (h *hub) message() {
	if h.outbox.Full() || h.leaving {
		return
	}
	h.said[h.process]++
	size := h.random.IntN(300)
	if h.long && h.random.IntN(200) == 0 {
		size = 250<<10 + h.random.IntN(600<<10)
	}
	body := make([]byte, 16+size)
	binary.BigEndian.PutUint64(body, h.process)
	binary.BigEndian.PutUint64(body[8:], h.said[h.process])
	b := pdu.Append(nil, pdu.SID_MSG, 1, 0, body)
	h.outbox.Say(&order.Record{Kind: order.Batch, Session: uint64(h.number) << 40, Runs: []order.Run{{Verdict: policy.Verdict(abi.BroadcastAll), PDUs: 1, Bytes: b}}})
}

// hear reads an entry.
func (h *hub) hear(e order.Entry) {
	h.read = e.Position
	r, err := order.Parse(e.Record)
	if err != nil {
		h.Fatal(err)
	}
	h.census.Note(h.now, e, &r)
	self := h.self()
	if r.Origin == self && r.Kind == order.Enter && h.enteredAt == (order.Position{}) {
		h.enteredAt, h.waitsFrom = e.Position, h.now
	}
	h.count(e, &r)
	if h.self() != self {
		return
	}
	if r.Origin == self {
		h.outbox.Back(h.now, &r)
	} else {
		h.outbox.Heard(h.now)
	}
	if !h.members.In() && h.enteredAt != (order.Position{}) {
		h.kept = append(h.kept, e)
	}
}

// count has the members decide, and does what follows.
func (h *hub) count(e order.Entry, r *order.Record) {
	whole, _ := h.members.Next(h.now, e, r)
	if whole == nil {
		h.agree(e.Position)
		return
	}
	switch whole.Kind {
	case order.Found:
		if whole.Origin != h.self() {
			h.enter("found")
			return
		}
		h.founded++
		h.sum = 0
		h.settled(e.Position, true)
	case order.Gone:
		if whole.About == h.self() {
			if h.over = h.leaving; !h.over {
				h.enter("gone")
			}
			return
		}
	case order.Enter:
		if donor, ok := h.members.Donor(r.Origin); ok && donor == h.self() {
			state := h.members.Export(binary.BigEndian.AppendUint64(nil, h.sum))
			h.letters = append(h.letters, letter{h.now.Add(time.Duration(h.random.Int64N(int64(time.Second)))), h, r.Origin, state})
		}
	case order.Beat:
		if whole.Facts.Check {
			h.checked = order.TableSum{Position: h.members.CheckAt(), Sum: h.table()}
		}
	default:
		h.counts(e.Position, whole)
	}
	h.agree(e.Position)
	if h.members.Differs() {
		h.enter("differs")
	}
}

func (h *hub) table() uint64 {
	if h.wrong {
		return h.sum + 1
	}
	return h.sum
}

// counts compares what counts here with what counted at other hubs, and adds it to the sum.
func (h *hub) counts(at order.Position, r *order.Record) {
	b := r.Append(nil)
	if other, ok := h.counted[at]; ok && string(other.Append(nil)) != string(b) {
		h.Fatalf("at %v hub %d counts %v %d of %v, another one %v %d of %v", at, h.number, r.Kind, r.Number, r.Origin, other.Kind, other.Number, other.Origin)
	}
	h.counted[at] = *r
	h.sum = maphash.Bytes(seed, binary.BigEndian.AppendUint64(b, h.sum))
}

// agree compares the sum with that of other hubs at the same position.
func (h *hub) agree(at order.Position) {
	if !h.members.In() {
		return
	}
	if other, ok := h.sums[at]; ok && other != h.sum {
		h.Fatalf("at %v the sum of hub %d is another one than elsewhere", at, h.number)
	}
	h.sums[at] = h.sum
}

// receive imports a state.
func (h *hub) receive(l letter) {
	if l.to != h.self() || h.members.In() || h.enteredAt == (order.Position{}) {
		return
	}
	if err := h.members.Import(h.now, l.state[8:]); err != nil {
		h.Fatal(err)
	}
	h.imported++
	h.sum, h.wrong = binary.BigEndian.Uint64(l.state), false
	h.settled(h.enteredAt, false)
	kept := h.kept
	h.kept = nil
	for _, e := range kept {
		if r, _ := order.Parse(e.Record); h.members.In() {
			h.count(e, &r)
		}
	}
}

// logHubs says how the hubs fare.
func (w *world) logHubs() {
	for _, h := range w.hubs {
		records, bytes, _ := h.outbox.Underway()
		w.Logf("hub %d process %d: over %v, member %v, %d records of %d bytes under way, read %v, entered %q", h.number, h.process, h.over, h.members.In(), records, bytes, h.read, h.whys)
	}
}

// settled says what is said first after the state has come, and then the rest. If the hub has missed
// a part of the log, and those that have read it are not members, nobody knows what counted there, so
// the hub says it again.
func (h *hub) settled(at order.Position, founded bool) {
	if _, known := h.members.NextOf(h.member); h.missed && (founded || !known) {
		h.forgotten[at] = h.process
	}
	h.checked, h.missed, h.unanswered, h.member = order.TableSum{}, false, false, h.self()
	h.outbox.Settle(h.members.NextOf)
	h.outbox.SayFirst(&order.Record{Kind: order.Joined, Session: uint64(h.number)<<40 + 1})
	h.outbox.Resume()
}

// step lets a moment pass.
func (w *world) step() {
	w.now = w.now.Add(tick)
	w.log.Settle(w.now)
	var later []letter
	letters := w.letters
	w.letters = nil
	for _, l := range letters {
		if l.at.After(w.now) {
			later = append(later, l)
			continue
		}
		for _, h := range w.hubs {
			if !h.over && !l.from.over {
				h.receive(l)
			}
		}
	}
	w.letters = append(later, w.letters...)
	for _, h := range w.hubs {
		if !h.over && !h.stalled.After(w.now) {
			h.step()
		}
	}
}

func (h *hub) step() {
	for range h.random.IntN(h.messages + 1) {
		h.message()
	}
	if records, _, _ := h.outbox.Underway(); h.leaving && records == 0 && h.members.In() {
		h.outbox.Say(&order.Record{Kind: order.Gone, About: h.self()})
	}
	if h.read.Epoch != h.log.Head().Epoch {
		h.begin("other log")
	}
	for _, e := range h.log.Read(h.read) {
		if h.hear(e); h.over {
			return
		}
	}
	h.duties()
	for {
		record, ok := h.outbox.Next(h.now)
		if !ok {
			return
		}
		h.log.Append(h.now, record)
	}
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.step()
	}
}

// calm lets the log and the hubs have peace, until everything that was said has been read.
func (w *world) calm() {
	w.log.Trouble, w.log.Halted = ordertest.Trouble{}, false
	for _, h := range w.hubs {
		h.messages = 0
	}
	for range int(2 * time.Minute / tick) {
		if w.step(); w.quiet() {
			return
		}
	}
	w.logHubs()
	w.Fatalf("not everything is read two minutes after the last trouble; head %v", w.log.Head())
}

// quiet reports whether all that live are members and have nothing under way but beats.
func (w *world) quiet() bool {
	for _, h := range w.hubs {
		if h.over {
			continue
		}
		if records, _, _ := h.outbox.Underway(); records > 0 || !h.members.In() || h.read != w.log.Head() || h.stalled.After(w.now) {
			return false
		}
	}
	return true
}
