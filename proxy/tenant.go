// Package proxy accepts peers and serves their connections: it moves bytes between
// sockets and hubs, and decides nothing about them.
//
// A connection's reader (session.go) is the goroutine that reads for many of the
// tenant's (loop_linux.go), or one of its own, which pauses, or drops what it read, where
// the tenant's limits say so (gate.go). What it makes due is written by whichever reader
// finds nobody at it (flush.go), or by a goroutine of the connection's
// own once its socket is full, or always if it is no socket (write.go). One goroutine
// for each tenant looks at the clock (beat.go).
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

	"switchyard/policy"
	"switchyard/proxy/hub"
	"switchyard/proxy/tenant"
)

// Limits bound what one peer may cost and how long it may be silent. A zero
// duration switches that limit off.
type Limits struct {
	Heartbeat    time.Duration // a heartbeat goes to a peer that was sent nothing for this long
	Timeout      time.Duration // a peer that sent nothing for this long is closed
	WriteTimeout time.Duration // a peer that took nothing for this long is closed
	MaxPDU       int           // largest PDU accepted, in bytes, header included
	Connections  int           // sessions at once; 0 is any number
	LagHard      uint64        // bytes that a peer may be behind before it is closed at once
	LagSoft      uint64        // bytes that it may be behind ...
	LagSoftTime  time.Duration // ... for this long

	// FirstPDU is how long a peer may take for its first PDU, from when it is served.
	FirstPDU time.Duration
	// LogBytes is how much memory the logs may take, and what all sessions keep to find
	// their way through them; 0 is any amount, and less than 2 MiB counts as that. Who
	// wants to add to more is treated as Quota.OnBreach says, so it becomes more only by
	// what readers had in their hands at that moment. While the logs are full, a peer may
	// lag for LagSoftTime by more than half of its share, all shares being equal, and then
	// is closed.
	LogBytes uint64
	// Users is how many users the tenant's peers may have, and PeerUsers how many one of
	// them; a user counts once for each peer that has it. 0 is any number.
	Users, PeerUsers int
	Quota            tenant.Quota // what the tenant's peers may say
}

// A Tenant is a hub with the connections of its peers.
type Tenant struct {
	// Static after NewTenant.
	Name  string
	hub   *hub.Hub
	log   *slog.Logger
	notes noteLog
	flush flusher

	limits  atomic.Pointer[Limits]
	gate    atomic.Pointer[gate]        // nil if there is nothing to pass
	waiting atomic.Pointer[waitingRoom] // nil if no reader waits for room in the log
	wasFull atomic.Bool                 // the log was, since the last beat
	beaten  atomic.Int64                // when the last beat ended, see clock

	mu       sync.Mutex                 // guards changes of sessions, limits and gate, and loop
	sessions atomic.Pointer[[]*session] // replaced whole
	loop     *loop                      // reads from sockets; nil before there is one, and where it cannot be had
	stopping chan struct{}              // closed when readers are to stop
	stopOnce sync.Once
	reading  sync.WaitGroup // the sessions whose readers have not stopped; Add under mu
	serving  sync.WaitGroup // all goroutines of the tenant's
	stopBeat context.CancelFunc
}

// NewTenant starts serving a tenant whose PDUs judge judges. It has no listener
// yet. Close ends what it starts.
func NewTenant(name string, judge *policy.Active, limits Limits, log *slog.Logger) *Tenant {
	t := &Tenant{Name: name, hub: hub.New(judge, limits.LagHard), log: log.With("tenant", name), stopping: make(chan struct{})}
	t.SetLimits(limits)
	t.beaten.Store(clock())
	t.sessions.Store(new([]*session))
	t.notes = noteLog{log: t.log}
	t.flush = flusher{tenant: t, relay: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	t.stopBeat = cancel
	t.serving.Go(func() { t.flush.run(ctx) })
	t.serving.Go(func() { t.beat(ctx) })
	return t
}

// Hub returns the tenant's hub.
func (t *Tenant) Hub() *hub.Hub { return t.hub }

// SetLimits changes the limits. MaxPDU is that of connections accepted from now on. A
// reader that pauses for a limit that is not there any more goes on at once; where the
// rates of a quota stay, so do the debts.
func (t *Tenant) SetLimits(l Limits) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limits.Store(&l)
	t.hub.SetLagHard(l.LagHard)
	t.hub.SetPresenceLimits(l.Users, l.PeerUsers)
	before := t.gate.Load()
	t.gate.Store(newGate(&l, before))
	if before != nil {
		close(before.replaced)
	}
}

// SetAudit has a second policy, which the tenant owns from now on, asked about all
// that is said and not obeyed; nil asks none. Hub().Audit() tells what came of it.
func (t *Tenant) SetAudit(g *policy.Generation) { t.hub.SetAudit(g) }

// KeepFaults has keep called with what a policy failed on, for a few of many faults;
// it returns the file that reproduces the fault, or "". Call it before Serve.
func (t *Tenant) KeepFaults(keep func(session uint64, n hub.Note) (file string)) { t.notes.keep = keep }

// ErrStopping and ErrFull are why Serve does not serve a connection.
var (
	ErrStopping = errors.New("the tenant is stopping")
	ErrFull     = errors.New("the tenant has as many connections as it may")
)

// Serve makes conn a peer of the tenant and serves it in goroutines of its own. It
// owns conn from now on, and calls ended once the session is over; unless it returns
// an error: then conn is still the caller's, and ended is not called.
func (t *Tenant) Serve(conn net.Conn, ended func()) error {
	s := newSession(t, conn, ended)
	if err := t.enter(s); err != nil {
		return err
	}
	if s.seat.Behind(t.hub.Head()) { // since it had a seat, and flushers did not know it yet
		t.flush.request()
	}
	return nil
}

// enter gives the session its seat and its reader.
func (t *Tenant) enter(s *session) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.stopping:
		return ErrStopping
	default:
	}
	if most := t.limits.Load().Connections; most > 0 && len(*t.sessions.Load()) >= most {
		return ErrFull
	}
	if s.socket != nil {
		if t.loop == nil {
			t.loop = startLoop(t)
		}
		s.loop = t.loop
	}
	s.seat = t.hub.Join(s) // from now on somebody may close it
	sessions := append(slices.Clone(*t.sessions.Load()), s)
	t.sessions.Store(&sessions)
	t.reading.Add(1)
	if s.raw == nil {
		s.writers.Add(1)
		t.serving.Go(s.writeLoop)
	}
	if !s.loop.add(s) {
		t.serving.Go(func() { s.serve(nil) })
	}
	return nil
}

// remove forgets a session that has ended.
func (t *Tenant) remove(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sessions := slices.DeleteFunc(slices.Clone(*t.sessions.Load()), func(x *session) bool { return x == s })
	t.sessions.Store(&sessions)
}

// stop has every reader stop where one PDU ends.
func (t *Tenant) stop() {
	t.stopOnce.Do(func() {
		t.mu.Lock() // nobody is on the way in any more
		defer t.mu.Unlock()
		close(t.stopping)
		for _, s := range *t.sessions.Load() {
			s.stopReading()
		}
		t.loop.stop()
	})
}

// Drain stops all readers where one PDU ends, writes everything that is due, and
// closes all connections. It returns early, with ctx's error, when ctx is done;
// what is then still due is discarded by Close.
func (t *Tenant) Drain(ctx context.Context) error {
	t.stop()
	for {
		sessions := *t.sessions.Load()
		if len(sessions) == 0 {
			return nil
		}
		select {
		case <-sessions[0].done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close ends all connections at once, and returns when every goroutine of the
// tenant's has ended.
func (t *Tenant) Close() {
	t.stop()
	for _, s := range *t.sessions.Load() {
		s.Close(hub.Forced)
	}
	for _, s := range *t.sessions.Load() {
		<-s.done
	}
	t.stopBeat()
	t.serving.Wait()
}
