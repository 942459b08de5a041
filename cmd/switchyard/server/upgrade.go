package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"switchyard/proxy/admin"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/handover"
	"switchyard/proxy/metrics"
)

// An upgrade puts another program in the place of this one, in another process, which continues with
// the same connections. Until that process has shown that it can, nothing changes:
//
//	state.upgrades, SIGUSR2 ──▶ beginUpgrade   refused, or a goroutine starts the program
//	                                │
//	          askSuccessor ──▶ srv.offers ──▶ considerOffer   other sums: the new process ends
//	                                               │
//	                                  checked  ◀───┴───▶  handOver ──▶ an error: this process keeps serving
//	                                                          │
//	                                                          └─────▶ leave: the other one serves
//
//	upgrade.go           requests, refusals and results
//	successor.go         starts the new process and ends it, in the old one
//	handover_old.go      freezes, sends and leaves, in the old process
//	handover_compare.go  whether the new one would serve with the same, in the old process
//	handover_new.go      loads, takes over and serves, in the new one
//	handover_records.go  what the two say to each other about what moves
//
// Reloads and requests about policies wait from beginUpgrade on, so that what the new process has
// read stays what is in force.

// upgrades are the two that this process takes part in: as the new process, and as the old one.
type upgrades struct {
	tookOver    bool           // this process has replaced another one
	predecessor *handover.Conn // to that process; nil if this one has replaced none
	upgrade     *upgrade       // that is under way; nil if none is
	offers      chan offered   // from askSuccessor
	asking      sync.WaitGroup // askSuccessor
	succeeded   *successor     // the process that has replaced this one; nil if none has
}

// An upgrade is one that is under way, from beginUpgrade to endUpgrade. It belongs to the goroutine
// of Serve; operators see a copy in adminState.
type upgrade struct {
	api.Upgrade
	by      string                  // who asked for it
	replies chan reply[api.Upgrade] // answers the operator; holds one. nil: it was a signal
	abandon context.CancelFunc      // ends askSuccessor
}

// An upgradeRequest is sent to Serve by an operator.
type upgradeRequest struct {
	api.UpgradeRequest
	replies chan reply[api.Upgrade] // holds one
}

// Upgrade makes Serve upgrade, and waits for the result.
func (a *adminState) Upgrade(ctx context.Context, r api.UpgradeRequest) (api.Upgrade, error) {
	asked := upgradeRequest{r, make(chan reply[api.Upgrade], 1)}
	return ask(ctx, a.stopping, a.upgrades, asked, asked.replies)
}

// LastUpgrade returns the last upgrade, or the one that is under way.
func (a *adminState) LastUpgrade() api.Upgrade {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.upgrade
}

// A handovers counts upgrades. The new process keeps counting.
type handovers struct {
	Done, Failed uint64
	Last         api.Upgrade // the last one that was done
}

// metrics returns the counts for Prometheus.
func (h *handovers) metrics() metrics.Handovers {
	return metrics.Handovers{Done: h.Done, Failed: h.Failed, Frozen: time.Duration(h.Last.FrozenSeconds * float64(time.Second)),
		Moved: h.Last.Moved, Drained: h.Last.Drained, Closed: h.Last.Closed}
}

// counted sets what the new process continues from.
func (a *adminState) counted(p *processRecord) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p.Reloads, p.Handovers, p.Started, p.Marks = a.counts, a.upgraded, a.started, slices.Clone(a.marks)
}

// continueFrom makes the new process continue from what the old one has counted and remembered.
func (a *adminState) continueFrom(p processRecord) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counts, a.upgraded, a.marks = p.Reloads, p.Handovers, p.Marks
}

// stepRefused is the step of an upgrade that is not possible here, or not now. The others are those of
// package handover and of askSuccessor.
const stepRefused handover.Step = "refused"

// beginUpgrade begins an upgrade that was asked for, unless it is refused. replies may be nil. What
// waiting cannot mend fails the upgrade. What busy returns is answered as a conflict: the command
// exits with 75 then, and a script tries again.
func (srv *server) beginUpgrade(r api.UpgradeRequest, by string, replies chan reply[api.Upgrade]) {
	if busy := srv.busy(); busy != nil {
		srv.log.Warn("upgrade refused; this program keeps serving", "by", by, "error", busy)
		answerUpgrade(replies, reply[api.Upgrade]{err: busy})
		return
	}
	version, _, _ := built()
	begun := time.Now().UTC()
	u := &upgrade{by: by, replies: replies, Upgrade: api.Upgrade{Result: api.UpgradeRunning, Check: r.Check, Begun: &begun, From: version}}
	srv.upgrade = u
	if srv.embedder != nil {
		srv.failUpgrade(&handover.Error{Step: stepRefused, Err: errors.New("this server is part of another command, which would end; upgrade one that 'switchyard serve' runs")})
		return
	}
	if err := positionOf(srv.supervisor.socket != "", srv.tookOver).unreplaceable(); err != nil {
		srv.failUpgrade(&handover.Error{Step: stepRefused, Err: err})
		return
	}
	if err := srv.unsaved(); err != nil {
		srv.failUpgrade(err)
		return
	}
	program, err := programPath(r.Program)
	if err != nil {
		srv.failUpgrade(&handover.Error{Step: stepProgram, Err: err})
		return
	}
	u.Program = program
	srv.state.setUpgrade(u.Upgrade)
	srv.log.Info("upgrade begun", "program", program, "check", r.Check, "by", by)
	ctx, abandon := context.WithCancel(srv.stopper.requested)
	u.abandon = abandon
	srv.asking.Go(func() { srv.askSuccessor(ctx, program) })
}

// busy returns why an upgrade has to wait; nil if it has not.
func (srv *server) busy() error {
	switch {
	case srv.stopper.isRequested():
		return admin.ErrStopping
	case srv.upgrade != nil:
		return conflict("an upgrade to %s is under way; wait for its end", srv.upgrade.Program)
	case srv.starting != nil:
		return conflict("this program is still loading policies for its start; ask again when it logs \"serving\"")
	case srv.next != nil || srv.postponed:
		return conflict("a configuration is being loaded; ask again when it is in force or refused")
	case srv.draining.Load() > 0: // it would not be frozen, and could close sessions of others, which share its input memory
		return conflict("a tenant that was removed is still draining; ask again when the log has its counts, within drain.timeout")
	}
	for name, s := range srv.tenants {
		if s.next != nil || s.nextAudit != nil || s.back != nil {
			return conflict("a policy of tenant %s is being loaded; ask again when it is in force or refused", name)
		}
	}
	return srv.immovable()
}

// immovable returns why a tenant in a cluster cannot move to another process now; nil if all can.
func (srv *server) immovable() error {
	for name, s := range srv.tenants {
		if s.member == nil {
			continue
		}
		if err := cmp.Or(s.member.Movable(), s.tenant.Hub().Movable()); err != nil {
			return conflict("tenant %s: %v", name, err)
		}
	}
	return nil
}

// unsaved returns an error if the history of policies has entries that another process cannot know,
// as they cannot be written now either. That process would put a policy in force that was rolled
// back.
func (srv *server) unsaved() error {
	if srv.records.Flush(srv.historyTime) > 0 {
		p := srv.records.Position()
		return &handover.Error{Step: stepRefused, Err: fmt.Errorf("the new process would not know %d entries of the history of policies, which are not written; make releases.state writable, then ask again: %w", p.Unsaved, p.Err)}
	}
	return nil
}

// failUpgrade ends the upgrade, which has changed nothing. If err is a conflict, it may succeed later,
// and the operator is answered as if it had not begun.
func (srv *server) failUpgrade(err error) {
	u := srv.upgrade
	u.Result, u.Error = api.UpgradeFailed, err.Error()
	u.Moved, u.Drained, u.Closed = 0, 0, 0
	if e, ok := errors.AsType[*handover.Error](err); ok {
		u.Step, u.Error = string(e.Step), e.Err.Error()
	}
	srv.log.Error("upgrade failed; this program keeps serving", "program", u.Program, "step", u.Step, "error", u.Error, "check", u.Check, "by", u.by)
	r := reply[api.Upgrade]{result: u.Upgrade}
	if busy, ok := errors.AsType[admin.Conflict](err); ok {
		r.err = busy
	}
	srv.endUpgrade(r)
}

// endUpgrade records the upgrade that was under way, and answers it.
func (srv *server) endUpgrade(r reply[api.Upgrade]) {
	u := srv.upgrade
	srv.upgrade = nil
	if u.abandon != nil {
		u.abandon()
	}
	srv.state.setUpgrade(u.Upgrade)
	answerUpgrade(u.replies, r)
}

// setUpgrade records an upgrade for operators, and counts it if it has ended. A check is no
// attempt.
func (a *adminState) setUpgrade(u api.Upgrade) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.upgrade = u
	switch {
	case u.Check:
	case u.Result == api.UpgradeFailed:
		a.upgraded.Failed++
	case u.Result == api.UpgradeDone:
		a.upgraded.Done++
		a.upgraded.Last = u
	}
}

// answerUpgrade answers the operator who asked. After a signal, no operator waits for an answer.
func answerUpgrade(to chan reply[api.Upgrade], r reply[api.Upgrade]) {
	if to != nil {
		to <- r
	}
}
