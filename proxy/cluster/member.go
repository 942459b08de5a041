// Package cluster makes a tenant's hub a member of several that act as one. It appends what the hub's
// peers send to a log that all of them read, and applies what it reads, its own records included,
// to the hub. It knows no engine: a Log is handed to it.
//
// What a member does is decided in membership.go and the files that it names; this file and donate.go have the
// goroutines.
package cluster

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"switchyard/proxy/order"
)

// A Log is one order of records that all hubs of a tenant read. What is appended may be lost,
// doubled or overtaken before it has a place in the log. What has a place is read by all, once, and
// in order. Append, Begin, Continue, SendState and StateChunk.Ack may block while the bus takes nothing,
// so the applier calls none of them.
type Log interface {
	// Append appends a record, which the caller does not change afterwards. An error says that the
	// bus is not reached.
	Append(record []byte) error
	// Begin begins to read, at the start and after order.FellOut. It returns the last record of
	// each hub; what is behind head comes as events. It tries until ctx is done, unless an operator
	// has to do something first.
	Begin(ctx context.Context) (last []order.Entry, head order.Position, err error)
	// Continue begins to read behind the entry that another process of this hub has read last, or
	// reports order.FellOut if that cannot be done. It tries as Begin does.
	Continue(ctx context.Context, last order.Entry) error
	Events() <-chan order.Event
	// SendState sends a chunk of the tenant's state, at most order.MaxStateChunk bytes, and returns
	// when it was acknowledged.
	SendState(ctx context.Context, from, to order.Origin, chunk []byte, last bool) error
	// State returns what was sent to this hub.
	State() <-chan order.StateChunk
	// Counts returns what was counted so far.
	Counts() order.LogCounts
	Close()
}

// Settings are what a member needs to know and to call.
type Settings struct {
	Number        uint16 // of this hub, from 1; different at each
	Name          string // of this hub, for people
	Window        int    // bytes of what was said that may be in the log and not read back
	Queue         int    // and as many wait behind them
	Held          int    // bytes that may be read while the state is on its way
	MemberTimeout time.Duration
	AloneAfter    time.Duration // 0 is never

	Hub     Hub
	Ordered func(func()) // makes the changes of the hub, see proxy.Tenant
	Room    func()       // wakes senders that wait for room
	// Policies returns the sums of the policies in force.
	Policies func() []uint64
	Entered  func()      // the hub has become a member, or is alone, for the first time
	Fail     func(error) // this hub cannot take part, by an error of its operator; called once at most
	Log      *slog.Logger
}

const (
	// tickTime is how often a member looks at the clock.
	tickTime = 250 * time.Millisecond
	// batch is how many events are handled before what became due by them is written.
	batch = 256
	// beginTime is after how long the cause is logged why a reading cannot begin. A hub that waits
	// for this when it starts shows nothing else.
	beginTime = 15 * time.Second
	// beginPause is the pause after a reading could not begin.
	beginPause = time.Second
)

// A Member is a tenant's hub as a member of the cluster. It implements proxy.Order.
//
//	sessions ─ Say ─▶ outgoing ─▶ send ─▶ Log.Append
//	                                         │ …
//	        membership ◀─ apply ◀─────── Log.Events
type Member struct {
	// Static after New.
	log Log
	out *outgoing
	ctx context.Context // done when the goroutines are to end
	end context.CancelFunc

	// Static after Continue.
	continues bool       // from the checkpoint of another process
	was       Checkpoint // of that: Last, Mismatches and Log

	membership *membership       // owned by the applier
	ordered    func(func())      // for the applier
	begun      chan reading      // sent to by read once for each call of begin; received by the applier
	asks       chan chan *Status // sent to by Fresh; the applier answers each once
	leaves     chan struct{}     // sent to by Leave; received by the applier
	entered    atomic.Bool
	moved      atomic.Bool   // another process continues; set while the tenant is frozen
	left       chan struct{} // closed by the applier when Leave may return
	status     atomic.Pointer[Status]
	running    sync.WaitGroup // all goroutines
	closing    sync.Once

	donations map[uint16]context.CancelFunc // by the hub that enters; owned by the applier
}

// New returns a member whose goroutines Start starts. It owns the log.
func New(l Log, s Settings) *Member {
	m := &Member{log: l, out: newOutgoing(s.Number, s.Window, s.Queue, s.Room),
		begun: make(chan reading), asks: make(chan chan *Status), leaves: make(chan struct{}), left: make(chan struct{}),
		donations: make(map[uint16]context.CancelFunc)}
	m.ordered = func(f func()) {
		s.Ordered(func() {
			if !m.moved.Load() {
				f()
			}
		})
	}
	m.ctx, m.end = context.WithCancel(context.Background())
	m.membership = newMembership(s, m.out)
	m.membership.begin, m.membership.donate, m.membership.audible = m.begin, m.donate, m.audible
	m.status.Store(&Status{State: Entering})
	return m
}

// Start makes the hub enter the cluster, or continue from the checkpoint that Continue was given.
func (m *Member) Start() {
	m.running.Go(m.apply)
	if m.continues {
		m.running.Go(m.readOn)
		return
	}
	m.running.Go(m.send)
}

// Entered reports whether the hub has been a member, or alone. From then on its peers can be served.
func (m *Member) Entered() bool { return m.entered.Load() }

// Say implements hub.Order.
func (m *Member) Say(r *order.Record) { m.out.Say(r) }

// Full implements proxy.Order. Questions of peers are not said, but the hub keeps them behind what
// is under way.
func (m *Member) Full() bool {
	s := &m.membership.settings
	return m.out.Full() || s.Hub.UnderwayBytes() > uint64(s.Window+s.Queue)
}

// Close ends the goroutines and closes the log. It may be called again.
func (m *Member) Close() {
	m.closing.Do(func() {
		m.end()
		m.running.Wait()
		m.log.Close()
	})
}

// send appends what is said, and again what has not come back.
func (m *Member) send() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for m.ctx.Err() == nil {
		record, at := m.out.next(time.Now())
		if record != nil {
			m.log.Append(record) // lost or not, the outbox finds out
			continue
		}
		if at.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(at))
		}
		select {
		case <-m.out.wake:
		case <-timer.C:
		case <-m.ctx.Done():
		}
	}
}

// apply handles what the log brings, what is said alone, and the time.
func (m *Member) apply() {
	ticker := time.NewTicker(tickTime)
	defer ticker.Stop()
	events, state, leaves := m.log.Events(), m.log.State(), m.leaves
	if !m.continues {
		m.ordered(func() { m.membership.start(time.Now()) })
	}
	for shown := State(""); ; {
		read := events
		if m.membership.phase == beginning {
			read = nil // what is behind the head comes after begun
		}
		select {
		case e := <-read:
			m.ordered(func() { m.handle(e, events) })
		case s := <-state:
			m.ordered(func() {
				if m.membership.receive(time.Now(), s) {
					m.running.Go(func() { s.Ack() }) // which may block, as the bus does; if it is lost, the donor gives up
				}
			})
		case r := <-m.begun:
			m.ordered(func() { m.membership.begun(time.Now(), r.last, r.head) })
		case <-m.out.loop:
			m.ordered(m.membership.applyKept)
		case answer := <-m.asks:
			answer <- m.look(time.Now())
			continue
		case <-leaves:
			leaves = nil
			m.ordered(m.membership.leave)
		case <-ticker.C:
			m.ordered(func() { m.membership.tick(time.Now()) })
			shown = ""
		case <-m.ctx.Done():
			return
		}
		if now := time.Now(); m.membership.state(now) != shown {
			shown = m.show(now)
		}
	}
}

// handle handles an event, and those that have come since.
func (m *Member) handle(e order.Event, events <-chan order.Event) {
	now := time.Now()
	for n := 1; ; n++ {
		m.membership.event(now, e)
		if n == batch || m.membership.phase == beginning {
			return
		}
		select {
		case e = <-events:
		default:
			return
		}
	}
}

// show makes the member's status visible to others, and returns its state.
func (m *Member) show(now time.Time) State {
	s := m.look(now)
	m.status.Store(s)
	if s.State != Entering && !m.entered.Swap(true) {
		m.membership.settings.Entered()
	}
	if m.membership.hasLeft() {
		closeOnce(m.left)
	}
	return s.State
}

// closeOnce closes a channel that only the caller closes.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// audible calls f. The applier reads nothing and says no beats meanwhile, so what it said last is said
// again, or the others would declare this hub gone.
func (m *Member) audible(f func()) {
	done := make(chan struct{})
	var again sync.WaitGroup
	again.Go(func() {
		ticker := time.NewTicker(beatTime)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				m.out.do(func(o *order.Outbox) { o.Probe() })
			case <-done:
				return
			}
		}
	})
	f()
	close(done)
	again.Wait()
}

// A reading is what Log.Begin returns.
type reading struct {
	last []order.Entry
	head order.Position
}

// begin begins to read the log.
func (m *Member) begin() { m.running.Go(m.read) }

// read calls Log.Begin until it succeeds, and hands the result to the applier. Until then the applier
// receives no events, see membership.phase.
func (m *Member) read() {
	m.retry(func(ctx context.Context) error {
		last, head, err := m.log.Begin(ctx)
		if err != nil {
			return err
		}
		select {
		case m.begun <- reading{last, head}:
		case <-m.ctx.Done():
		}
		return nil
	})
}

// retry calls try, which gives up after beginTime, until it succeeds or the member closes, when it
// returns false.
func (m *Member) retry(try func(context.Context) error) bool {
	for said := ""; ; {
		ctx, cancel := context.WithTimeout(m.ctx, beginTime)
		err := try(ctx)
		cancel()
		if err == nil || m.ctx.Err() != nil {
			return err == nil
		}
		if text := err.Error(); text != said {
			m.membership.log.Warn("the cluster cannot be reached; trying again", "error", text)
			said = text
		}
		if !m.sleep(beginPause) {
			return false
		}
	}
}

// sleep returns false if the member closes meanwhile.
func (m *Member) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-m.ctx.Done():
		return false
	}
}

// Leave implements proxy.Order.
func (m *Member) Leave(ctx context.Context) {
	select {
	case m.leaves <- struct{}{}:
	case <-m.ctx.Done():
		return
	case <-ctx.Done():
		return
	}
	limit := time.NewTimer(answerTime)
	defer limit.Stop()
	select {
	case <-m.left:
	case <-limit.C:
	case <-ctx.Done():
	case <-m.ctx.Done():
	}
}
