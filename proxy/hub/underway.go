package hub

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"switchyard/policy"
	"switchyard/proxy/order"
)

// A hub that shares its tenant moves to another process with what is under way, whose records come back
// there. It is exported beside State, the user table and the seats:
//
//	old   first ─ … ─ last (said)    ExportUnderway ─▶ Underway
//	new   Import, Restore …          RestoreUnderway: the same list, of the seats that have moved,
//	                                 and of vacant ones for the sessions that have not
//
// The other hubs know the sessions that do not move. So the new hub says that these have left, with
// standby links late (late.go). Those that were late at the first hub are among them. Their time begins
// again, so that none of them leaves sooner than others do.

// An Underway is what this hub has said, and the questions that wait behind it, in their order.
type Underway struct {
	Said  []SaidState
	Aside map[uint64][][]byte // the users that standby sessions have reported, by session, in chunks
}

// A SaidState is a record under way, or questions between two of them.
type SaidState struct {
	Kind    order.Kind // 0: there is no record, only questions
	Session uint64
	Master  bool // the sender was judged as a master
	Made    bool // by the hub, so that it is not counted
	Runs    []RunState
	Bytes   uint64 // memory that all of it takes, in the record as well
}

// A RunState is one run of a record, or a question.
type RunState struct {
	PDUs     int32
	Verdict  policy.Verdict
	Fault    *FaultState
	Question []byte // nil if the bytes are in the record
}

// A FaultState is a policy.Fault.
type FaultState struct {
	Kind    policy.FaultKind
	Text    string
	ByLimit bool
}

// Movable returns why what is under way cannot move now; nil if it can. A hub that has just entered
// cannot move until what its sessions said first has come back.
func (h *Hub) Movable() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.order.movable()
}

// movable is Movable under hub.mu.
func (o *ordering) movable() error {
	if o.ahead > 0 {
		return errors.New("the sessions of this hub are just entering the cluster; ask again in a moment")
	}
	return nil
}

// ExportUnderway returns what is under way, or the error of Movable. It changes nothing.
func (h *Hub) ExportUnderway() (Underway, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.order.movable(); err != nil {
		return Underway{}, err
	}
	all := Underway{Aside: h.exportAside()}
	for kept := h.order.first; kept != nil; kept = kept.next {
		one := SaidState{Kind: kept.kind, Session: kept.seat.Session(), Master: kept.master, Made: kept.made, Bytes: kept.bytes}
		for i := range kept.runs {
			one.Runs = append(one.Runs, kept.runs[i].export())
		}
		all.Said = append(all.Said, one)
	}
	return all, nil
}

func (r *run) export() RunState {
	st := RunState{PDUs: r.pdus, Verdict: r.verdict, Question: bytes.Clone(r.bytes)}
	if f := r.fault; f != nil {
		st.Fault = &FaultState{f.Kind, f.Err.Error(), f.ByLimit}
	}
	return st
}

// RestoreUnderway makes a hub continue with what is under way, after the seats that have moved were
// restored. Nothing may be said before, and the order already has what is under way. If the first hub
// judged some of it in a stage, its two policies are not compared about that.
func (h *Hub) RestoreUnderway(all Underway) error {
	g := h.active.Acquire()
	defer g.Release()
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.order
	in, vacant := maps.Clone(o.sessions), make(map[uint64]*Seat)
	for i := range all.Said {
		st := &all.Said[i]
		if hubOf(st.Session) != o.hub {
			return fmt.Errorf("session %d of another hub is under way here", st.Session)
		}
		h.restoreSaid(st, h.seatOf(st.Session, vacant), g)
		switch st.Kind {
		case order.Joined:
			in[st.Session] = ordered{}
		case order.Left:
			delete(in, st.Session)
		}
	}
	for _, session := range slices.Sorted(maps.Keys(in)) {
		if hubOf(session) == o.hub && h.numbered[session] == nil {
			h.sayVacant(h.seatOf(session, vacant))
		}
	}
	if o.pdus != o.imported {
		return fmt.Errorf("%d PDUs are under way, but the counts say %d", o.pdus, o.imported)
	}
	return h.restoreAside(all.Aside)
}

// sayVacant is LeaveOrdered and Leave for a session that has not moved. Called under mu.
func (h *Hub) sayVacant(s *Seat) {
	if h.leavesLate(s) {
		h.order.late = append(h.order.late, lateSession{seat: s})
	} else {
		h.sayLeft(s)
	}
}

// seatOf returns the session's seat, or a vacant one if it has not moved. Called under mu.
func (h *Hub) seatOf(session uint64, vacant map[uint64]*Seat) *Seat {
	if s := h.numbered[session]; s != nil {
		return s
	}
	if vacant[session] == nil {
		vacant[session] = h.vacantSeat(session)
	}
	return vacant[session]
}

// restoreSaid puts a record, or questions, behind all that is under way. Called under mu.
func (h *Hub) restoreSaid(st *SaidState, s *Seat, g *policy.Generation) {
	o := h.order
	kept := o.take()
	kept.restore(st)
	kept.seat = s
	switch st.Kind {
	case order.Batch, 0:
		g.Acquire()
		kept.generation = g
	case order.Left:
		s.back = make(chan struct{})
	}
	for i := range kept.runs {
		if !kept.made {
			o.pdus += uint64(kept.runs[i].pdus)
		}
	}
	o.push(kept)
}

// restore sets what was kept about a record, or about questions.
func (kept *said) restore(st *SaidState) {
	kept.kind, kept.master, kept.made, kept.bytes = st.Kind, st.Master, st.Made, st.Bytes
	for _, r := range st.Runs {
		one := run{bytes: r.Question, pdus: r.PDUs, verdict: r.Verdict, said: true}
		if f := r.Fault; f != nil {
			one.fault = &policy.Fault{Kind: f.Kind, Err: errors.New(f.Text), ByLimit: f.ByLimit}
		}
		kept.runs = append(kept.runs, one)
	}
}

// vacantSeat returns the seat of a session whose connection has not moved. It gets nothing, and counts
// as left. Called under mu.
func (h *Hub) vacantSeat(session uint64) *Seat {
	s, final := &Seat{hub: h, peer: absent{}}, h.log.head()
	s.reader.seat = s
	s.setNumber(session)
	s.final.Store(&final)
	return s
}

// absent is the peer of a vacant seat. The first hub has already sent its connection everything.
type absent struct{}

func (absent) Noted(Note)   {}
func (absent) Close(Reason) {}
