package server

import (
	"sync"
	"sync/atomic"
	"time"

	"switchyard/proxy/admin"
	"switchyard/proxy/admin/api"
)

// historyTime is how long a stop, and an upgrade, wait for the disk to take the history of policies.
const historyTime = 2 * time.Second

// An ending is what a stop needs and leaves.
type ending struct {
	stopper    *stopper
	startFault error          // why the start ends although some tenants are served
	leaving    sync.WaitGroup // removed tenants that still drain, listeners, passOn and awaitOld
	draining   atomic.Int64   // removed tenants that still drain
	unwritten  unwritten      // what the stop discarded
}

// stop drains: it stops accepting, routes what has arrived, and writes what is due, until the
// stopper ends it.
func (srv *server) stop() error {
	// From here on, what tenants discard counts for the exit code. Counts of before are kept apart.
	srv.unwritten.begin()
	srv.stopReleases("stop", "the server stops")
	for _, s := range srv.tenants {
		s.discarded = s.tenant.Hub().Counts().Discarded
	}
	limit := srv.stopper.limit
	srv.state.stop()
	srv.log.Info("stopping", "signal", srv.stopper.cause, "drain", limit.String())
	srv.supervisor.stopping(limit)
	srv.stopAccepting()
	err := srv.drainAll()
	srv.endBreached()
	return err
}

// drainAll drains all tenants at once, and waits for those that drain already because they
// were removed. The error is ErrForced if a tenant did not finish.
func (srv *server) drainAll() error {
	spread := time.Duration(srv.config.Drain.Spread)
	if spread >= srv.stopper.limit {
		spread = 0 // of an interrupt, for which a person waits
	}
	var draining sync.WaitGroup
	for _, s := range srv.tenants {
		draining.Go(func() { s.tenant.Drain(srv.stopper.forced, spread) })
	}
	draining.Wait()
	srv.leaving.Wait()
	if srv.stopper.forced.Err() != nil {
		return ErrForced
	}
	return nil
}

// stopAccepting closes all listeners. Connections that they have accepted stay open.
func (srv *server) stopAccepting() {
	for _, l := range srv.listeners {
		l.stopAccepting(false)
		l.close(srv.stopper.requested, srv.log)
	}
	srv.listeners = nil
}

// close ends everything in the reverse order of open. Whatever is open when it is called is closed
// at once: stop has drained before, or the start has failed.
func (srv *server) close() {
	if srv.watcher != nil {
		srv.watcher.Close()
	}
	if srv.sources != nil {
		srv.sources.Close()
	}
	if u := srv.upgrade; u != nil {
		u.abandon()
		answerUpgrade(u.replies, reply[api.Upgrade]{err: admin.ErrStopping})
	}
	// askSuccessor may have started a process. Nobody receives its offer any more, so it ends that
	// process.
	srv.asking.Wait()
	srv.stopAccepting()
	if srv.admin != nil {
		srv.admin.Close()
	}
	srv.metricsAddress.close()
	// Whatever still drains now ends at once, and the plans that were never put in force are undone.
	srv.stopper.force()
	srv.leaving.Wait()
	for _, p := range []*plan{srv.starting, srv.next} {
		if p != nil {
			p.rollback()
		}
	}
	for name, s := range srv.tenants {
		s.dropLoads()
		if srv.succeeded != nil { // another process continues with its accounts
			s.close()
			continue
		}
		srv.endTenant(name, s)
	}
	if srv.engine != nil && srv.loading.Load() == 0 { // otherwise a load that was given up may run its code
		srv.engine.Close()
	}
	if n := srv.records.Flush(srv.historyTime); n > 0 {
		srv.log.Error("entries of the history of policies are lost, as its folder cannot be written", "entries", n, "error", srv.records.Position().Err)
	}
	srv.access.file.Swap(nil).close()
	srv.log.Info("stopped")
}

// logCounts logs a tenant's counts. They add up, so that a loss shows in the log alone:
//
//	received = accepted + dropped (+ underway in a cluster: not come back from the bus)
//	due      = delivered + discarded
//	joined   = closed
//
// Copies become due only to sessions that are open at that moment.
func (srv *server) logCounts(name string, t *served) {
	c := t.tenant.Hub().Counts()
	pdus := []any{"tenant", name, "received", c.Received, "accepted", c.Actions, "dropped", c.Dropped}
	if t.member != nil {
		pdus = append(pdus, "underway", c.Underway)
	}
	srv.log.Info("PDUs", append(pdus, "lost", c.Lost(), "made", c.Made)...)
	srv.log.Info("copies", "tenant", name, "due", c.Due, "delivered", c.Delivered, "discarded", c.Discarded)
	srv.log.Info("sessions", "tenant", name, "joined", c.Joined, "closed", c.Closed)
}

// logAbandoned logs that the stop did not end by itself, and the counts so far. It is called by
// the stopper's goroutine.
func (srv *server) logAbandoned() {
	srv.log.Error("stopped without waiting for what is still under way")
	for _, t := range srv.state.view.Load().tenants {
		c := t.Served.Hub().Counts()
		srv.log.Info("copies so far", "tenant", t.Name, "due", c.Due, "delivered", c.Delivered, "pending", c.Pending, "discarded", c.Discarded)
	}
}
