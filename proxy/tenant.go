// Package proxy serves the connections of peers: it moves bytes between sockets and
// hubs, and decides nothing about them.
//
// A connection's reader (session.go) is either the tenant's loop, one goroutine that
// reads for many connections (loop_linux.go), or a goroutine of its own. The reader
// pauses, or drops what it read, when the tenant's limits require it (throttle.go). What
// has become due is written by the first reader that requests a flush (flush.go). A
// goroutine of the connection's own writes if the socket was full, and always for TLS
// (write.go). One goroutine for each tenant does what depends on
// time (tick.go).
package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"switchyard/pdu/body"
	"switchyard/policy"
	"switchyard/proxy/hub"
	"switchyard/proxy/tenant"
)

// Limits bound what one peer may cost and how long it may be silent. A zero duration
// switches that limit off.
type Limits struct {
	Heartbeat    time.Duration // a heartbeat goes to a peer that was sent nothing for this long
	Timeout      time.Duration // a peer that sent nothing for this long is closed
	WriteTimeout time.Duration // a peer that took nothing for this long is closed
	MaxPDU       int           // largest PDU accepted, in bytes, header included
	Connections  int           // sessions at once; 0 is unlimited
	LagHard      uint64        // bytes that a peer may be behind before it is closed at once
	LagSoft      uint64        // bytes that it may be behind ...
	LagSoftTime  time.Duration // ... for this long

	// FirstPDU is how long a peer may take for its first PDU, from when it is served.
	FirstPDU time.Duration
	// LogBytes is how much memory the logs and the edits of all sessions may take; 0 is
	// unlimited, and less than 2 MiB counts as 2 MiB. When they are full, Quota.OnBreach
	// says what happens to senders. Batches that were read before that are still added,
	// so the limit is exceeded by those at most. While the logs are full, a peer that
	// lags more than half of an equal share for LagSoftTime is closed.
	LogBytes uint64
	// Input is the memory of input buffers that all tenants of the process share; nil gives
	// the tenant one of its own. Static after NewTenant.
	Input *Inputs
	// Users is how many users the tenant's peers may hold together, and PeerUsers how many
	// each of them; a user counts once for each peer that holds it. 0 is unlimited.
	Users, PeerUsers int
	ClientTypes      body.ClientTypes // admitted in addition to TeamTalk's own
	Quota            tenant.Quota     // limits what the tenant's peers send
}

// A Tenant is a hub with the connections of its peers.
type Tenant struct {
	// Static after NewTenant.
	Name       string
	hub        *hub.Hub
	log        *slog.Logger
	notes      noteLog
	sessionLog sessionLog
	ended      endings
	flush      flusher
	inputs     *inputs
	observer   Observer // nil if there is none; static after the first Serve
	latency    latency
	timing     *policy.Timing

	slowLane slowLane

	order        Order         // nil for a hub of its own; set before the first Serve
	orderWaiters waiters       // readers that wait for room in order
	forced       chan struct{} // closed by Close
	forceOnce    sync.Once

	limits       atomic.Pointer[Limits]
	membership   func(net.Conn) *hub.Membership // see SetGroups; guarded by mu
	throttle     atomic.Pointer[throttle]       // nil if there is no limit to apply
	roomWaiters  waiters                        // readers that wait for room in the log
	logWasFull   atomic.Bool                    // since the last tick
	lastTick     atomic.Int64                   // when the last tick ended, see clock
	stoodStill   atomic.Int64                   // total time for which the hub has stalled, as ticks found
	everySecond  atomic.Pointer[func()]         // nil if there is none
	endsOutdated atomic.Bool                    // each tick ends one outdated session

	mu       sync.Mutex                 // guards changes of sessions, limits and throttle, loop, and membership
	sessions atomic.Pointer[[]*session] // replaced; its elements never change
	loop     *loop                      // reads from sockets; nil before the first one, and where there is no epoll
	stopping chan struct{}              // closed when readers are to stop
	stopOnce sync.Once
	settled  chan struct{}  // closed when, after that, every session is settled
	reading  sync.WaitGroup // counts the sessions whose readers have not stopped; Add under mu
	serving  sync.WaitGroup // counts all goroutines of the tenant
	stopTick context.CancelFunc

	gate     *gate       // static
	freezing sync.Mutex  // guards frozen; held by Freeze and Thaw
	frozen   []*session  // whose right to write a freeze has taken
	departed atomic.Bool // the hub's successor is in another process, so this one handles nothing more

	// unsettled counts the sessions that are not settled, see session.settle, and one
	// more until stop.
	unsettled atomic.Int64
}

// NewTenant starts a tenant whose PDUs the policy in active judges. It has no connections
// yet. Close ends what NewTenant starts.
func NewTenant(name string, active *policy.Active, limits Limits, log *slog.Logger) *Tenant {
	t := &Tenant{Name: name, hub: hub.New(active, limits.LagHard), log: log.With("tenant", name),
		stopping: make(chan struct{}), settled: make(chan struct{}), forced: make(chan struct{}), inputs: newInputs(limits.Input), gate: newGate()}
	t.unsettled.Store(1)
	t.SetLimits(limits)
	t.lastTick.Store(clock())
	t.sessions.Store(new([]*session))
	t.notes = noteLog{log: t.log, keeping: make(chan struct{}, keepAtOnce)}
	t.sessionLog = sessionLog{log: t.log}
	t.latency.init()
	t.timing = policy.NewTiming(clock)
	t.hub.SetTiming(t.timing)
	t.flush = flusher{tenant: t, relay: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	t.stopTick = cancel
	t.serving.Go(func() { t.flush.run(ctx) })
	t.serving.Go(func() { t.tick(ctx) })
	return t
}

// Hub returns the tenant's hub.
func (t *Tenant) Hub() *hub.Hub { return t.hub }

// SetLimits changes the limits. MaxPDU applies to connections accepted from then on. A
// reader that pauses for a limit that was removed continues at once. If the rates of a
// quota stay the same, so do the debts.
func (t *Tenant) SetLimits(l Limits) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limits.Store(&l)
	t.inputs.setLimit(l.MaxPDU)
	t.hub.SetLagHard(l.LagHard)
	t.hub.SetPresenceLimits(l.Users, l.PeerUsers)
	t.hub.SetClientTypes(l.ClientTypes)
	before := t.throttle.Load()
	t.throttle.Store(newThrottle(&l, before))
	if before != nil {
		close(before.replaced)
	}
}

// SetGroups sets the function that returns the groups of a connection's peer, for all present and later
// connections; nil if there are no groups. The function is called with a lock held, so it must be
// quick. What is due to a peer that is muted from now on is still written.
func (t *Tenant) SetGroups(of func(net.Conn) *hub.Membership) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if of == nil && t.membership == nil {
		return
	}
	t.membership = of
	for _, s := range *t.sessions.Load() {
		s.seat.SetMembership(t.membershipOf(s.conn))
	}
}

// membershipOf returns the groups of a connection's peer. Called under mu.
func (t *Tenant) membershipOf(conn net.Conn) *hub.Membership {
	if t.membership == nil {
		return nil
	}
	return t.membership(conn)
}

// SetAudit audits a second policy, which the tenant owns from then on: it judges every
// PDU as well, and its verdicts are counted and not carried out. nil ends the audit.
// Hub().Audit() returns the result.
func (t *Tenant) SetAudit(g *policy.Generation) { t.hub.SetAudit(g) }

// EverySecond sets a function that is called once a second, in a goroutine of the tenant, until
// the tenant is closed. It must not block.
func (t *Tenant) EverySecond(f func()) { t.everySecond.Store(&f) }

// An Observer is notified of sessions. It is called in the goroutines that serve peers, and must not block.
type Observer interface {
	// Opened tells that a connection has become a session.
	Opened(tenant string, s Session)
	// Closed tells how a session has ended.
	Closed(tenant string, s Session, e EndedSession)
}

// Observe sets the observer of sessions. Call Observe before Serve.
func (t *Tenant) Observe(o Observer) { t.observer = o }

// KeepFaults sets a function that is called with the question on which a policy failed,
// for a few of many faults, in a goroutine of its own. It returns the name of a file that
// reproduces the fault, or "". Call KeepFaults before Serve.
func (t *Tenant) KeepFaults(keep func(session uint64, n hub.Note) (file string)) { t.notes.keep = keep }

// Serve returns ErrStopping or ErrFull if it does not serve a connection.
var (
	ErrStopping = errors.New("the tenant is stopping")
	ErrFull     = errors.New("the tenant has as many connections as it may")
)

// Serve makes conn a peer of the tenant. If it returns nil, the tenant owns conn, serves
// it in its own goroutines, and calls ended when the connection has ended. It was abandoned
// if the peer closed it at once without having sent anything, as health checks do; it then
// was not a session. If Serve returns an error, conn still belongs to the caller, and ended is
// not called.
//
// Serve waits while the tenant is frozen.
func (t *Tenant) Serve(conn net.Conn, ended func(abandoned bool)) error {
	t.mu.Lock()
	loop := t.loop
	t.mu.Unlock()
	loop.awaitRead()
	t.gate.enter()
	defer t.gate.leave(tenantWork)
	s := newSession(t, conn, ended)
	if err := t.enter(s); err != nil {
		return err
	}
	if s.seat.Behind(t.hub.Head()) { // flushers did not know it between Join and now
		t.flush.request()
	}
	return nil
}

// End gracefully ends the session of a connection for the given reason: data due to the
// peer is still written. It returns false if the connection is not being served.
func (t *Tenant) End(conn net.Conn, why hub.Reason) bool {
	for _, s := range *t.sessions.Load() {
		if s.conn == conn {
			s.askToEnd(why)
			return true
		}
	}
	return false
}

// enter gives the session its seat and starts its reader.
func (t *Tenant) enter(s *session) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isStopping() {
		return ErrStopping
	}
	if most := t.limits.Load().Connections; most > 0 && len(*t.sessions.Load()) >= most {
		return ErrFull
	}
	t.prepareLoop(s)
	s.seat = t.hub.Connect(s, t.membershipOf(s.conn)) // from now on other goroutines may call s.Close
	s.pace(false)
	t.list(s)
	if s.raw == nil {
		s.output.writers.Add(1)
		t.serving.Go(s.writeLoop)
	}
	if !s.loop.add(s) {
		s.start(func() { s.serve(nil) })
	}
	return nil
}

// prepareLoop lets the loop read from the session, if it is a plain socket. Called under mu.
func (t *Tenant) prepareLoop(s *session) {
	if s.socket != nil {
		if t.loop == nil {
			t.loop = startLoop(t)
		}
		s.loop = t.loop
	}
}

// list adds a session that has a seat to the list. Called under mu.
func (t *Tenant) list(s *session) {
	s.seat.SetIdentity(s.identity())
	sessions := append(*t.sessions.Load(), s) // not cloned, as nobody looks behind the end of a list
	t.sessions.Store(&sessions)
	t.unsettled.Add(1)
	t.reading.Add(1)
}

// remove takes sessions that have ended off the list.
func (t *Tenant) remove(ended func(*session) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sessions := slices.DeleteFunc(slices.Clone(*t.sessions.Load()), ended)
	t.sessions.Store(&sessions)
}

// stopInTurn stops the sessions one after the other, spread over the given time. Each is
// served as before until its turn. It returns early when ctx is done, or no session is left.
func (t *Tenant) stopInTurn(ctx context.Context, spread time.Duration) {
	if spread <= 0 {
		return
	}
	start, sessions := time.Now(), *t.sessions.Load()
	for i, s := range sessions {
		turn := time.NewTimer(time.Until(start.Add(spread * time.Duration(i) / time.Duration(len(sessions)))))
		select {
		case <-turn.C:
		case <-ctx.Done():
			return
		}
		if len(*t.sessions.Load()) == 0 {
			return
		}
		s.stop()
	}
}

func (t *Tenant) isStopping() bool { return isClosed(t.stopping) }

// stop makes every reader handle what has arrived, and then stop. When it returns, no
// Serve is in progress, and later ones return ErrStopping.
func (t *Tenant) stop() {
	t.stopOnce.Do(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		close(t.stopping)
		t.wakeReaders()
		t.loop.wake()
		t.settle()
	})
}

// settle counts a session as settled. After the last one, all readers stop.
func (t *Tenant) settle() {
	if t.unsettled.Add(-1) == 0 {
		close(t.settled)
		t.wakeReaders()
	}
}

// wakeReaders makes readers that wait for input check whether they are to stop.
func (t *Tenant) wakeReaders() {
	for _, s := range *t.sessions.Load() {
		s.conn.SetReadDeadline(time.Now())
	}
}

// Drain stops all readers at the end of a PDU, writes everything that is due, and closes
// all connections: one after the other over the time of spread, or all at once if that is
// 0. When ctx is done, it returns early with ctx's error; Close then discards what is still
// due.
func (t *Tenant) Drain(ctx context.Context, spread time.Duration) error {
	t.Thaw()
	t.stopInTurn(ctx, spread)
	t.stop()
	for {
		sessions := *t.sessions.Load()
		if len(sessions) == 0 {
			if t.order != nil {
				t.awaitLate(ctx)
				t.order.Leave(ctx)
			}
			return nil
		}
		select {
		case <-sessions[0].done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close closes all connections at once, and returns when every goroutine of the tenant
// has ended.
func (t *Tenant) Close() {
	t.Thaw()
	t.stop()
	t.forceOnce.Do(func() { close(t.forced) })
	for _, s := range *t.sessions.Load() {
		s.Close(hub.Forced)
	}
	for _, s := range *t.sessions.Load() {
		<-s.done
	}
	if t.order != nil {
		t.order.Close()
		t.hub.Abandon()
	}
	t.stopTick()
	t.serving.Wait()
	t.notes.running.Wait()
	t.notes.flush()
	t.sessionLog.flush()
}
