package server

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"switchyard/proxy"
	"switchyard/proxy/admin"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/admission"
	"switchyard/proxy/handover"
)

// The old process, in the order in which it meets what package handover calls:
//
//	considerOffer   compares what the new process could serve with
//	Freeze          nothing is accepted, read, judged or written from here on
//	Send            sockets, the state of each tenant, its sessions with what they carry
//	                the new process says that it is ready; go is the point of no return
//	leave           writes what is due to sessions that did not move, and exits
//	Thaw            in place of leave, if anything failed: everything continues
//
// Peers notice a pause of some milliseconds. Until go, nothing has changed that cannot be undone.

// mostCarried is how many bytes of all sessions together can move: read and not handled, or due and
// not written.
const mostCarried = 64 << 20

// spareDescriptors is how many descriptors the new process needs besides those of sessions.
const spareDescriptors = 100

// considerOffer continues with the upgrade when the new process has said what it could serve with.
func (srv *server) considerOffer(o offered) {
	srv.records.warnDamage() // which askSuccessor may have found
	u := srv.upgrade
	u.To = o.offer.Version
	if o.successor != nil {
		u.PID = o.successor.cmd.Process.Pid
	}
	err := o.err
	if err == nil {
		if differs := srv.compare(o.offer); differs != nil {
			err = &handover.Error{Step: handover.StepOffer, Err: differs}
		}
	}
	switch {
	case err != nil:
		o.successor.end("it was refused", endTime)
		srv.failUpgrade(err)
	case u.Check:
		o.successor.end("it was only checked", endTime)
		u.Result = api.UpgradeChecked
		srv.log.Info("upgrade checked; this program keeps serving", "program", u.Program, "to_version", u.To, "by", u.by)
		srv.endUpgrade(reply[api.Upgrade]{result: u.Upgrade})
	default:
		srv.handOver(o)
	}
}

// handOver makes the new process serve. It holds up Serve for as long as handover.DefaultLimits
// allow. What releases have decided since the offer may have changed a policy, and a hub may no
// longer be a member of its cluster, so both are compared again. If it fails, how far releases are is
// recorded once more, as not stopped: after a crash of this process they end.
func (srv *server) handOver(o offered) {
	srv.stopReleases("upgrade", "another program takes over")
	to, g := o.successor, &giver{server: srv, to: o.successor}
	err := srv.unsaved()
	if faults := srv.differentPolicies(o.offer.Policies); err == nil && faults != nil {
		err = &handover.Error{Step: handover.StepOffer, Err: errors.Join(faults...)}
	}
	if busy := srv.immovable(); err == nil && busy != nil {
		err = &handover.Error{Step: stepRefused, Err: busy}
	}
	if err == nil {
		_, err = to.conn.HandOver(srv.stopper.requested, g, handover.DefaultLimits)
	}
	if err != nil {
		to.end(err.Error(), 0)
		srv.failUpgrade(err)
		srv.recordReleases(false, "upgrade", "the other program could not take over")
		return
	}
	u := srv.upgrade
	u.Result, u.FrozenSeconds = api.UpgradeDone, (monotonic() - g.frozen).Seconds()
	to.took = g.departing
	srv.succeeded = to
}

// A giver is what the old process does in a handover. It implements handover.Old. All its methods run
// on the goroutine of Serve, within handOver.
type giver struct {
	*server
	to     *successor
	frozen time.Duration // when peers ceased to be served, on the clock of monotonic

	departing []departure // what was sent; nil before
}

// Freeze makes everything stand still: first the listeners, so that no connection is on its way
// to a tenant, then the tenants.
func (g *giver) Freeze(ctx context.Context) error {
	g.frozen = monotonic()
	err := g.freezeAll(ctx)
	if err != nil {
		g.thawAll()
	}
	return err
}

// freezeAll freezes in the order that Freeze promises. Tenants take up to 500 ms each, so all at
// once.
func (g *giver) freezeAll(ctx context.Context) error {
	for _, l := range g.listeners {
		if err := l.admission.Freeze(ctx); err != nil {
			return err
		}
	}
	var freezing sync.WaitGroup
	errs := make(chan error, len(g.tenants))
	for name, s := range g.tenants {
		freezing.Go(func() {
			if err := s.tenant.Freeze(ctx); err != nil {
				errs <- fmt.Errorf("tenant %s: %w", name, err)
			}
		})
	}
	freezing.Wait()
	close(errs)
	return <-errs
}

// Thaw ends the new process, and lets everything continue.
func (g *giver) Thaw() {
	g.to.end("the handover failed", 0)
	g.thawAll()
}

// thawAll undoes freezeAll, however far that came: what is not frozen is not changed.
func (g *giver) thawAll() {
	for _, s := range g.tenants {
		if s.member != nil {
			s.member.Stay()
		}
		s.tenant.Thaw()
	}
	for _, l := range g.listeners {
		l.admission.Thaw()
	}
}

// A departure is the part of a tenant that moves.
type departure struct {
	served *served
	moving []proxy.Moving
}

// Send sends everything that a taker receives.
func (g *giver) Send(to *handover.Sender) error {
	all, u := g.departures(), g.upgrade
	g.departing = all
	records, moved := g.admitted(), make(map[string]int)
	for _, d := range all {
		for _, m := range d.moving {
			moved[records[m.Conn].Listener]++
		}
	}
	for name, l := range g.listeners {
		to.Listener(listenerRecord{Listener: name, State: l.admission.State(moved[name])}, l.socket.(syscall.Conn))
	}
	for _, l := range g.adminListeners {
		to.Listener(listenerRecord{}, l.(syscall.Conn))
	}
	if g.metricsAddress != nil {
		to.Listener(listenerRecord{Metrics: true}, g.metricsAddress.socket.(syscall.Conn))
	}
	p := processRecord{Upgrade: u.Upgrade, By: u.by, Frozen: g.frozen, LastHour: g.lastHour("")}
	g.state.counted(&p)
	to.Process(p)
	for _, d := range all {
		member, err := d.served.exportMember()
		if err != nil { // it has ceased to be movable since immovable
			return conflict("tenant %s: %v", d.served.tenant.Name, err)
		}
		g.sendTenant(to, d, member, records)
	}
	return nil // errors are sticky
}

// departures returns the part of each tenant that moves, and counts the sessions that do not move:
// those that end here after what is due to them was written (drained), and those that end at once
// (closed).
func (g *giver) departures() (all []departure) {
	u, room := g.upgrade, mostCarried
	for _, s := range g.tenants {
		moving, drained, closed := s.tenant.Moving(room)
		for _, m := range moving {
			room -= len(m.Input) + len(m.Due)
		}
		u.Moved, u.Drained, u.Closed = u.Moved+len(moving), u.Drained+drained, u.Closed+closed
		all = append(all, departure{s, moving})
	}
	return all
}

// admitted returns what listeners know of the connections that may move. Those of a listener that
// a reload has removed are not in it.
func (g *giver) admitted() map[net.Conn]sessionRecord {
	all := make(map[net.Conn]sessionRecord)
	for name, l := range g.listeners {
		for conn, r := range l.admission.Records() {
			all[conn] = sessionRecord{Listener: name, Admitted: r}
		}
	}
	return all
}

// exportMember returns the tenant's clusterRecord in chunks, or none if it is in no cluster.
func (s *served) exportMember() (chunks [][]byte, err error) {
	if s.member == nil {
		return nil, nil
	}
	var p clusterRecord
	var encoded bytes.Buffer
	if p.Member, err = s.member.Export(); err == nil {
		p.Underway, err = s.tenant.Hub().ExportUnderway()
	}
	if err == nil {
		err = gob.NewEncoder(&encoded).Encode(&p)
	}
	return slices.Collect(slices.Chunk(encoded.Bytes(), memberChunk)), err
}

// memberChunk is the largest length of a chunk of a clusterRecord.
const memberChunk = 1 << 20

// sendTenant sends a tenant, its membership of the cluster, its user table and its sessions.
func (g *giver) sendTenant(to *handover.Sender, d departure, member [][]byte, admitted map[net.Conn]sessionRecord) {
	t := d.served.tenant
	_, endsOutdated := t.Outdated()
	to.Tenant(tenantRecord{t.Name, t.Export(d.moving), endsOutdated, len(member), t.ExportLimits(), g.lastHour(t.Name), d.served.releases, d.served.allWeighed()})
	for _, chunk := range member {
		to.Presence(chunk)
	}
	t.ExportPresence(d.moving, to.Presence)
	for _, m := range d.moving {
		r, ok := admitted[m.Conn]
		if !ok {
			r.Admitted = admission.RecordWithoutListener(m.Conn)
		}
		r.Session = m.State
		to.Session(r, m.Conn.(syscall.Conn), m.Input, m.Due)
	}
}

// lastHour returns what the dashboard knows of the last hour of a tenant, or of all of them together; nil
// without an admin interface.
func (srv *server) lastHour(tenant string) *admin.Hour {
	if srv.admin == nil {
		return nil
	}
	return srv.admin.LastHour(tenant)
}

// departTime is how long sessions that cannot move may take to be written what is due to them.
const departTime = 5 * time.Second

// leave ends this process, which another one has replaced. It does not touch what was handed over,
// but closes its own descriptors of it. Signals that come meanwhile are meant for the one that
// serves: reloads and stops are passed on. systemd is told first, so that it does not take the end of
// this process for the end of the service.
func (srv *server) leave(signals signals) {
	u := srv.upgrade
	context.AfterFunc(srv.stopper.requested, srv.succeeded.stop)
	left := make(chan struct{})
	srv.leaving.Go(func() { srv.succeeded.passOn(signals, srv.log, left) })
	srv.log.Info("handed over", "program", u.Program, "to_version", u.To, "pid", u.PID, "frozen_seconds", u.FrozenSeconds,
		"moved", u.Moved, "drained", u.Drained, "closed", u.Closed, "by", u.by)
	srv.supervisor.replaced(u.PID)
	srv.leaveAdmin() // before the operator who has asked for the upgrade asks for more
	srv.endUpgrade(reply[api.Upgrade]{result: u.Upgrade})
	srv.state.stop()
	ctx, cancel := context.WithTimeout(srv.stopper.forced, departTime)
	defer cancel()
	var departing sync.WaitGroup
	for _, d := range srv.succeeded.took {
		departing.Go(func() { d.served.tenant.Depart(ctx, d.moving) })
	}
	departing.Wait()
	for _, l := range srv.listeners {
		l.admission.Close()
	}
	srv.listeners = nil
	close(left)
	srv.awaitLeaving(ctx)
}

// leaveAdmin leaves further requests to the other process. Those that have come are answered.
func (srv *server) leaveAdmin() {
	for _, l := range srv.adminListeners {
		if u, ok := l.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false) // the other process listens there
		}
	}
	if srv.admin != nil {
		srv.admin.StopAccepting()
	}
	if srv.metricsAddress != nil {
		srv.metricsAddress.server.StopAccepting()
	}
}
