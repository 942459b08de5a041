package hub

import (
	"cmp"
	"slices"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// While a stage is in force, two generations judge each affected PDU, and the hub obeys one
// of them; see policy.Stage. The hub weighs such a PDU: when it carries out the obeyed
// verdict, it counts what both would have sent.
//
// Weighing never waits for a lock that routing does not take. Only some verdicts need the user
// table. If its lock is free at that moment, the hub takes it; otherwise the hub counts the PDU
// as not weighed.

// A pair holds the opinions of both generations of a stage about the PDUs of a run.
type pair struct {
	command           pdu.CommandID
	side              policy.Side // the side that is obeyed
	weighed           bool
	trip              policy.Trip
	asked             bool // both generations were asked
	verdicts          [2]policy.Verdict
	failed, inspected [2]uint32 // numbers of PDUs, by generation
	fuel              [2]uint64
	highFuel          uint32 // PDUs on which the candidate used more than half of its fuel
}

// maxWeighed is how many users or receivers a weighed PDU may have on each side.
const maxWeighed = 256

// addAffected adds the affected PDU that the reader's comparison describes to the reader's
// runs. It reports whether weighing or routing it needs presence.
func (r *reader) addAffected(p []byte, v policy.Verdict, fault *policy.Fault) (presence bool) {
	c := &r.comparison
	next := pair{command: pdu.ParseHeader(p).Command, side: c.Side, trip: c.Trip, asked: c.Stable.Asked && c.Candidate.Asked}
	for i, o := range []*policy.Opinion{&c.Stable, &c.Candidate} {
		next.verdicts[i], next.fuel[i] = o.Verdict, o.Fuel
		if o.Fault != nil {
			next.failed[i] = 1
		}
		if o.Inspected {
			next.inspected[i] = 1
		}
	}
	if next.inspected[1] > 0 && next.fuel[1] > r.stage.Split.Fuel/2 {
		next.highFuel = 1
	}
	if !r.joinAffected(len(p), v, fault, &next) {
		r.pairs = append(r.pairs, next)
		r.runs = append(r.runs, run{bytes: p, pdus: 1, verdict: v, fault: fault, pair: int16(len(r.pairs))})
	}
	return asksPresence(next.verdicts[0]) || asksPresence(next.verdicts[1])
}

// joinAffected adds a PDU of n bytes to the last run if the command and the opinions of
// both generations are the same.
func (r *reader) joinAffected(n int, v policy.Verdict, fault *policy.Fault, next *pair) bool {
	if len(r.runs) == 0 || fault != nil || v.Action() == policy.Handle || readsBody(v) {
		return false
	}
	last := &r.runs[len(r.runs)-1]
	if last.pair == 0 || last.verdict != v || last.fault != nil {
		return false
	}
	to := &r.pairs[last.pair-1]
	if to.command != next.command || to.side != next.side || to.trip != next.trip || to.asked != next.asked || to.verdicts != next.verdicts {
		return false
	}
	for i := range 2 {
		to.failed[i] += next.failed[i]
		to.inspected[i] += next.inspected[i]
		to.fuel[i] += next.fuel[i]
	}
	to.highFuel += next.highFuel
	last.bytes = last.bytes[:len(last.bytes)+n]
	last.pdus++
	return true
}

// side returns the side whose verdict on the run is obeyed.
func (r *reader) side(of *run) policy.Side {
	if of.pair == 0 {
		return policy.Alike
	}
	return r.pairs[of.pair-1].side
}

// forgetStage drops the reader's references to a stage, so that the stage can be freed.
func (r *reader) forgetStage() {
	if r.stage != nil {
		r.stage = nil
		r.comparison.Forget()
	}
}

// weighsByPresence looks at the leading runs whose routing does not need the user table,
// and reports whether weighing one of them does.
func (r *reader) weighsByPresence(runs []run) bool {
	for i := range runs {
		if asksPresence(runs[i].verdict) {
			break
		}
		if pair := runs[i].pair; pair != 0 && r.pairs[pair-1].namesUsers() {
			return true
		}
	}
	return false
}

// namesUsers reports whether a verdict's receivers depend on the user table.
func (p *pair) namesUsers() bool { return namesUsers(p.verdicts[0]) || namesUsers(p.verdicts[1]) }

func namesUsers(v policy.Verdict) bool { return v.Action() == policy.Unicast && asksPresence(v) }

// weigh counts a run of affected PDUs once. Called before the run is carried out, under mu,
// and also under presenceMu if presence is true.
func (h *Hub) weigh(from *reader, r *run, presence bool) {
	if r.pair == 0 || from.pairs[r.pair-1].weighed {
		return
	}
	p, tally := &from.pairs[r.pair-1], from.stage.Tally
	p.weighed = true
	n := uint64(r.pdus)
	w := row(tally, p.command)
	tally.Sides[p.side] += n
	w.PDUs += n
	w.Side[p.side-policy.Stable] += n
	w.HighFuel += uint64(p.highFuel)
	for i := range 2 {
		w.Failed[i] += uint64(p.failed[i])
		w.Inspected[i] += uint64(p.inspected[i])
		w.Fuel[i] += p.fuel[i]
	}
	switch p.trip {
	case policy.TripFault:
		w.Faults += n
	case policy.TripClose:
		w.Closes += n
	case policy.TripPresence:
		w.Presence += n
	}
	if p.asked && p.verdicts[0].WithLimit(0) != p.verdicts[1].WithLimit(0) { // without its number, what is over a limit is a drop
		w.Differ += n
	}
	switch {
	case !p.asked || p.namesUsers() && !presence:
		w.Unweighed += n
	case readsBody(p.verdicts[0]) || readsBody(p.verdicts[1]):
		for one, rest := cutPDU(r.bytes); one != nil; one, rest = cutPDU(rest) {
			h.weighCopies(from, one, 1, p, w)
		}
	default:
		h.weighCopies(from, r.bytes, int(r.pdus), p, w)
	}
}

// weighCopies counts the copies that both verdicts of p send of PDUs with the same receivers,
// unless there are too many receivers to compare. Called under mu, and under presenceMu if p
// names users.
func (h *Hub) weighCopies(from *reader, pdus []byte, n int, p *pair, w *policy.Weights) {
	stable, few := h.reach(from, p.verdicts[0], pdus, maxWeighed)
	h.reached = append(h.reached[:0], stable.some...) // the next call overwrites h.targets
	stable.some = h.reached
	candidate, alsoFew := h.reach(from, p.verdicts[1], pdus, maxWeighed)
	if !few || !alsoFew || max(len(stable.some), len(candidate.some)) > maxWeighed {
		w.Unweighed += uint64(n)
		return
	}
	toStable, toCandidate := h.size(stable), h.size(candidate)
	both := h.shared(stable, candidate)
	w.Copies[0].Add(copies(toStable, n, pdus))
	w.Copies[1].Add(copies(toCandidate, n, pdus))
	w.Only[0].Add(copies(toStable-both, n, pdus))
	w.Only[1].Add(copies(toCandidate-both, n, pdus))
	if (toStable > 0 || stable.far) && toCandidate == 0 && !candidate.far && p.undelivers() && !candidate.atHome {
		w.Undelivered += uint64(n)
	}
}

// copies returns the Copies that result from sending n PDUs to the given number of seats.
func copies(seats, n int, pdus []byte) policy.Copies {
	return policy.Copies{PDUs: uint64(seats) * uint64(n), Bytes: uint64(seats) * uint64(len(pdus))}
}

// undelivers reports whether the candidate's verdict sends nothing because it finds no
// receiver. It is false if the candidate failed, since a failing candidate is not obeyed.
func (p *pair) undelivers() bool {
	switch p.verdicts[1].Action() {
	case policy.Drop, policy.Consume, policy.Unicast:
		return p.trip != policy.TripFault
	}
	return false
}

// countAlike counts a run on which both generations of a stage agree, after it has been
// carried out. The parameter out is the reader's out before that. Called under mu.
func (h *Hub) countAlike(from *reader, r *run, out uint64) {
	if r.pair != 0 {
		return
	}
	stage := from.stage
	stage.Tally.Sides[policy.Alike] += uint64(r.pdus)
	if !stage.Tally.CountAlike {
		return
	}
	copies := uint64(0)
	if r.verdict.Action() != policy.Handle { // what a handler sends is the hub's own
		copies = (from.out - out) / uint64(len(r.bytes))
	}
	for p, rest := cutPDU(r.bytes); p != nil; p, rest = cutPDU(rest) {
		w := row(stage.Tally, pdu.ParseHeader(p).Command)
		w.Alike++
		w.Copied.Add(policy.Copies{PDUs: copies, Bytes: copies * uint64(len(p))})
	}
}

// row returns where PDUs of the command are counted. All ids that are not known share one row. Called
// under mu.
func row(t *policy.Tally, command pdu.CommandID) *policy.Weights {
	if t.Rows == nil {
		t.Rows = make([]policy.Weights, len(countedCommands))
	}
	if index := indexOf(command); index > 0 {
		return &t.Rows[index]
	}
	if w := t.Custom[command]; w != nil {
		return w
	}
	if !command.IsCustom() || len(t.Custom) == maxCustom {
		return &t.Rows[0]
	}
	if t.Custom == nil {
		t.Custom = make(map[pdu.CommandID]*policy.Weights)
	}
	w := new(policy.Weights)
	t.Custom[command] = w
	return w
}

// Weighed returns a copy of what the hub has counted in t, in the order of the commands' ids,
// without commands that were not seen. All counts are from the same moment.
func (h *Hub) Weighed(t *policy.Tally) policy.Weighed {
	h.mu.Lock()
	defer h.mu.Unlock()
	return weighedNow(t)
}

// weighedNow is Weighed under mu.
func weighedNow(t *policy.Tally) policy.Weighed {
	all := policy.Weighed{Alike: t.Sides[policy.Alike], ByStable: t.Sides[policy.Stable], ByCandidate: t.Sides[policy.Candidate], Ended: t.Ended}
	for i := range t.Rows {
		if w := &t.Rows[i]; w.PDUs+w.Alike > 0 {
			all.Commands = append(all.Commands, policy.CommandWeights{Command: countedCommands[i], Weights: *w})
		}
	}
	for id, w := range t.Custom {
		all.Commands = append(all.Commands, policy.CommandWeights{Command: id, Weights: *w})
	}
	slices.SortFunc(all.Commands, func(a, b policy.CommandWeights) int { return cmp.Compare(a.Command, b.Command) })
	return all
}

// cutPDU returns the first PDU, or nil if there is none, and the remaining ones.
func cutPDU(pdus []byte) (p, rest []byte) {
	if len(pdus) == 0 {
		return nil, nil
	}
	n := int(pdu.ParseHeader(pdus).Length)
	return pdus[:n], pdus[n:]
}

// A reach is the set of seats to which a PDU goes: those in some and, if all is set, every seat that
// gets the log except but, which may be nil. With all, those in some are muted.
type reach struct {
	all    bool
	but    *Seat
	some   []*Seat
	atHome bool // the only receiver would be the sender
	far    bool // sessions of other hubs get it as well
}

// reach returns the seats to which the verdict would send the PDU now. It does the same
// lookups as routeRun and routeByPresence, and sends nothing. The result is valid until the
// next call. ok is false if the PDU names too many users. Called under mu, and under
// presenceMu if the verdict names users.
func (h *Hub) reach(from *reader, v policy.Verdict, p []byte, users int) (r reach, ok bool) {
	switch v.Action() {
	case policy.BroadcastAll:
		return h.reachAll(from, v, nil), true
	case policy.BroadcastExceptSender:
		return h.reachAll(from, v, from.present()), true
	case policy.Unicast:
		far := false
		if !asksPresence(v) {
			far = h.findNamed(from, v)
		} else if unknown := h.findUsers(v, p, users); unknown == "" {
			far = h.seatHolders()
		} else {
			tooMany := unknown == TooManyUsers && users < maxNamed
			if v.Has(abi.ElseBroadcast) {
				return h.reachAll(from, v, from.present()), !tooMany
			}
			if h.targets = h.targets[:0]; unknown != NoHolder || v.Also() == 0 {
				return reach{}, !tooMany
			}
		}
		found := len(h.targets)
		h.leaveOut(from, v)
		if v.Also() != 0 {
			h.addAlso(from, v)
			far = far || h.order.hasFar()
		}
		return reach{some: h.targets, atHome: found > 0 && len(h.targets) == 0, far: far}, true
	}
	return reach{}, true
}

// reachAll is reach for a broadcast.
func (h *Hub) reachAll(from *reader, v policy.Verdict, but *Seat) reach {
	return reach{all: true, but: but, some: h.findMuted(from, v), far: h.order.hasFar()}
}

// size returns how many seats are in r.
func (h *Hub) size(r reach) int {
	n := len(r.some)
	if r.all {
		n += h.served()
	}
	if r.all && r.but != nil && !r.but.passes.Load() {
		n--
	}
	return n
}

// has reports whether the seat is in r.
func (r reach) has(to *Seat) bool {
	return r.all && to != r.but && !to.passes.Load() || slices.Contains(r.some, to)
}

// shared returns how many seats are in both.
func (h *Hub) shared(x, y reach) (n int) {
	if x.all && y.all { // of those that get the log, the only one that either leaves out is the sender's
		n = min(h.size(x)-len(x.some), h.size(y)-len(y.some))
	} else if x.all {
		x, y = y, x
	}
	for _, to := range x.some {
		if y.has(to) {
			n++
		}
	}
	return n
}
