package server

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strconv"
	"strings"
	"time"

	"switchyard/proxy/admin"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/admission"
	"switchyard/proxy/handover"
	"switchyard/proxy/hub"
	"switchyard/proxy/order"
)

// The new process, in the order in which it meets the messages of the old one:
//
//	inheritedStream   the environment names the descriptor of the stream
//	Offer             loads everything, as a start does, but opens no socket and writes no file
//	Listener, …       builds tenants and listeners of what arrives; nothing is read or written
//	TakeOver returns  begin: serves
//
// If anything fails before TakeOver returns, the process ends without closing what it was given,
// because closing a session resets its connection, which is still the other process's.

// loadTime is how long the new process may take to load the policies. The old one waits less.
const loadTime = time.Minute

// inheritedStream returns the stream to a process that this one is to replace, or nil.
func inheritedStream(env []string) (*handover.Conn, error) {
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, handoverVariable+"="); ok {
			fd, err := strconv.Atoi(value)
			if err != nil || fd < 3 {
				return nil, fmt.Errorf("environment %s is %.20q, and no descriptor; only an upgrade sets it, so remove it", handoverVariable, value)
			}
			return handover.Inherit(fd)
		}
	}
	return nil, nil
}

// A taker is what the new process does with what it is given. It implements handover.New.
type taker struct {
	*server
	plan    *plan
	process processRecord
	admin   []net.Listener

	// The tenant that came last; nil before the first one, and when it is imported.
	tenant   *tenantRecord
	presence [][]byte // its clusterRecord, if it has one, and its user table
	served   *served

	underway map[*served]hub.Underway // in the cluster, until Ready
	lastHour map[string]*admin.Hour   // by tenant; "" is all of them together
}

// takeOver builds everything of what the old process hands over, and begins to serve.
func (srv *server) takeOver(from *handover.Conn) error {
	t := &taker{server: srv, underway: make(map[*served]hub.Underway), lastHour: make(map[string]*admin.Hour)}
	if err := from.TakeOver(srv.stopper.requested, t); err != nil {
		return fmt.Errorf("take over from the running program: %w", err)
	}
	t.begin()
	srv.predecessor = from
	srv.leaving.Go(func() { srv.awaitOld(from) })
	return nil
}

// awaitOld waits until the old process has ended. If that is told to stop before, this one drains:
// whoever signals the old process wants nobody to serve. That counts as an operator's
// request, so that a signal to both processes is not a second one here.
func (srv *server) awaitOld(from *handover.Conn) {
	defer context.AfterFunc(srv.stopper.requested, func() { from.Close() })()
	if from.AwaitStop() {
		srv.log.Info("the previous process was told to stop, so this one drains")
		srv.state.Drain()
	}
}

// awaitLeaving waits for what still leaves. The process before is not waited for once ctx is done, as it
// may be stopped. This process has handed over itself then, so it no longer needs to learn of a
// stop.
func (srv *server) awaitLeaving(ctx context.Context) {
	if from := srv.predecessor; from != nil {
		defer context.AfterFunc(ctx, func() { from.Close() })()
	}
	srv.leaving.Wait()
}

// Offer loads what the configuration names, and says what that is. An error refuses the upgrade, and
// the old process shows its text to the operator. The watcher starts here, so that a file which is
// saved during the handover is not missed.
func (t *taker) Offer(hello handover.Hello) (handover.Offer, error) {
	srv := t.server
	srv.log.Info("taking over", "from_version", hello.Version, "from_pid", hello.PID)
	if err := srv.openStores(); err != nil {
		return handover.Offer{}, err
	}
	srv.engine = srv.newEngine(srv.config)
	srv.watch(false) // before the files are read, so that no change in between is missed
	t.plan = srv.planStart()
	srv.await(t.plan, loadTime)
	if err := errors.Join(t.plan.check(), t.checkAdminFiles()); err != nil {
		return handover.Offer{}, err
	}
	version, _, _ := built()
	o := handover.Offer{Version: version, Policies: make(map[string]string), Clusters: make(map[string]string), Sockets: socketsOf(srv.config), Descriptors: descriptorLimit()}
	for name, a := range t.plan.additions {
		o.Policies[name] = offeredPolicy(a.policy.candidate)
	}
	for _, c := range srv.config.Tenants {
		o.Clusters[c.Name] = clusterOf(srv.config, c)
	}
	t.plan.inherited = make(map[string]inherited)
	return o, nil
}

// Listener keeps a listening socket until Process.
func (t *taker) Listener(record json.RawMessage, socket net.Listener) error {
	var l listenerRecord
	if err := json.Unmarshal(record, &l); err != nil {
		return fmt.Errorf("record of a listener: %w", err)
	}
	switch {
	case l.Metrics:
		t.plan.metricsSocket = socket
	case l.Listener == "":
		t.admin = append(t.admin, socket)
	default:
		t.plan.inherited[l.Listener] = inherited{socket, l.State}
	}
	return nil
}

// Process prepares the listeners, which do not accept yet. The history of policies is read again, as
// the old process may have written since Offer. It comes after the listeners and before the tenants.
func (t *taker) Process(record json.RawMessage) error {
	if err := json.Unmarshal(record, &t.process); err != nil {
		return fmt.Errorf("record of the process: %w", err)
	}
	if err := errors.Join(t.openHistory(), t.checkAdminFiles()); err != nil {
		return err
	}
	if err := t.plan.prepare(); err != nil {
		return err
	}
	for _, l := range t.plan.listeners {
		l.openFrozen(t.server)
	}
	return nil
}

// Tenant begins a tenant, which stays frozen until begin.
func (t *taker) Tenant(record json.RawMessage) error {
	if err := t.finishTenant(); err != nil {
		return err
	}
	t.tenant = new(tenantRecord)
	if err := json.Unmarshal(record, t.tenant); err != nil {
		return fmt.Errorf("record of a tenant: %w", err)
	}
	c, ok := t.plan.config.Tenant(t.tenant.Name)
	if !ok || t.plan.additions[c.Name] == nil {
		return fmt.Errorf("tenant %.80q is handed over, and not in the configuration", t.tenant.Name)
	}
	t.plan.admit(c)
	t.served = t.tenants[c.Name]
	t.served.tenant.ImportLimits(t.tenant.Limits)
	maps.Copy(t.served.releases, t.tenant.Releases)
	if t.tenant.Weighed != nil {
		t.served.weighed = *t.tenant.Weighed
	}
	t.lastHour[c.Name] = t.tenant.LastHour
	if t.tenant.EndsOutdated {
		t.served.tenant.EndOutdated() // with the first tick after begin
	}
	return t.served.tenant.Freeze(context.Background()) // it has nothing that could hold that up
}

// Presence keeps a part of the user table until the table is complete: the first chunks may be the
// tenant's clusterRecord, of which only tenantRecord knows the number.
func (t *taker) Presence(chunk []byte) error {
	t.presence = append(t.presence, chunk)
	return nil
}

// Session adds a session to the tenant that came last, with the bytes that the old process had read
// and not handled, and those that are due to the peer. The connection continues in the middle of
// either.
func (t *taker) Session(state json.RawMessage, conn *net.TCPConn, input, due []byte) error {
	if err := t.finishTenant(); err != nil {
		return err
	}
	var s sessionRecord
	if err := json.Unmarshal(state, &s); err != nil {
		return fmt.Errorf("record of a session: %w", err)
	}
	l, forTenant, ended := t.plan.listeners[s.Listener], net.Conn(nil), func(bool) {}
	switch {
	case s.Listener == "":
		forTenant = admission.AdoptWithoutListener(conn, s.Admitted)
	case l == nil:
		return fmt.Errorf("a session of listener %.80q is handed over, and the configuration does not have it", s.Listener)
	default:
		forTenant, ended = l.admission.Adopt(conn, s.Admitted)
	}
	if err := t.served.tenant.Adopt(forTenant, s.Session, input, due, ended); err != nil {
		return fmt.Errorf("tenant %s, session %d: %w", t.served.tenant.Name, s.Session.Seat.Session, err)
	}
	return nil
}

// finishTenant makes the hub of the tenant that came last continue from its state, unless it does
// already.
func (t *taker) finishTenant() error {
	if t.tenant == nil {
		return nil
	}
	state, chunks := t.tenant.Hub, t.presence
	if n := t.tenant.MemberChunks; n > 0 {
		if n > len(chunks) || t.served.member == nil {
			return fmt.Errorf("tenant %s: the record of its cluster is not there", t.served.tenant.Name)
		}
		if err := t.continueAt(bytes.Join(chunks[:n], nil)); err != nil {
			return fmt.Errorf("tenant %s: %w", t.served.tenant.Name, err)
		}
		chunks = chunks[n:]
	}
	t.tenant, t.presence = nil, nil
	if err := t.served.tenant.Hub().Import(state, order.Chunks(chunks, io.ErrUnexpectedEOF)); err != nil {
		return fmt.Errorf("tenant %s: %w", t.served.tenant.Name, err)
	}
	return nil
}

// continueAt makes the tenant that came last continue as a member of its cluster, after begin.
func (t *taker) continueAt(encoded []byte) error {
	var p clusterRecord
	if err := gob.NewDecoder(bytes.NewReader(encoded)).Decode(&p); err != nil {
		return fmt.Errorf("record of the cluster: %w", err)
	}
	t.underway[t.served] = p.Underway
	return t.served.member.Continue(p.Member)
}

// Ready checks that everything has come. It is the last chance to refuse: after it the old process
// says go and gives up everything.
func (t *taker) Ready() error {
	if err := t.finishTenant(); err != nil {
		return err
	}
	if names := t.plan.late(); len(names) > 0 {
		return fmt.Errorf("tenants that were not handed over: %s", strings.Join(names, ", "))
	}
	if t.plan.listeners == nil {
		return errors.New("the record of the process was not handed over")
	}
	for name, s := range t.tenants {
		h := s.tenant.Hub()
		err := h.Restored()
		if s.member != nil {
			err = h.RestoreUnderway(t.underway[s])
		}
		if err != nil {
			return fmt.Errorf("tenant %s: %w", name, err)
		}
	}
	return nil
}

// begin serves. Peers wait until the tenants are thawed, so whatever can wait comes after that.
// From here on nothing may fail.
func (t *taker) begin() {
	srv, u := t.server, t.process.Upgrade
	for _, s := range srv.tenants {
		if s.member != nil {
			s.member.Start()
		}
		s.tenant.Thaw()
	}
	t.plan.commit()
	for _, l := range srv.listeners {
		l.thaw(srv)
	}
	frozen := monotonic() - t.process.Frozen
	srv.tookOver, srv.starting, srv.state.started = true, t.plan, t.process.Started
	u.Result, u.FrozenSeconds = api.UpgradeDone, frozen.Seconds()
	srv.state.continueFrom(t.process)
	t.lastHour[""] = t.process.LastHour
	srv.state.setUpgrade(u)
	srv.state.mark(api.MarkStart, "upgraded from "+u.From+" to "+u.To)
	srv.log.Info("upgraded", "from_version", u.From, "to_version", u.To, "frozen", frozen.Round(time.Microsecond).String(),
		"moved", u.Moved, "drained", u.Drained, "closed", u.Closed, "by", t.process.By)
	for _, l := range t.admin {
		if u, ok := l.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(true) // as the one that made the file would
		}
	}
	if err := srv.openAdmin(t.admin, t.lastHour); err != nil { // the token files have changed since Process
		srv.log.Error("admin has stopped answering", "error", err)
	}
	srv.checkAgain() // files may have changed since Offer; a release in stages continues
}
