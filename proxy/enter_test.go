package proxy

import (
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/policy/policytest"
	"switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// A joinTap is a tap that sends for each session that joins.
type joinTap chan struct{}

func (joinTap) Present(uint64, bool, *hub.Membership) {}
func (d joinTap) Joined(uint64, *hub.Membership)      { d <- struct{}{} }
func (joinTap) Left(uint64)                           {}
func (joinTap) Grouped(uint64, *hub.Membership)       {}
func (joinTap) Judged(hub.Judged)                     {}

// What is sent at the moment at which a peer joins reaches it at once, not with the next
// tick.
func TestSentWhileJoining(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			tenant, stop := pipeTenant(testLimits())
			defer stop()
			conn, far := net.Pipe()
			defer conn.Close()
			speaker := hubtest.Join(tenant.hub)
			many := make([]*session, 0, 1<<16) // so that adding one takes a while
			for first := newSession(tenant, nil, nil); len(many) < cap(many); {
				first.seat = speaker.Seat
				many = append(many, first)
			}
			tenant.sessions.Store(&many)
			joined := make(joinTap, 1)
			tenant.hub.Attach(joined)
			m := message(others, 1, "sent while joining")
			var talking sync.WaitGroup
			talking.Go(func() {
				<-joined
				tenant.hub.Handle(speaker.Seat, m)
				tenant.flush.request()
			})
			join(tenant, far)
			talking.Wait()
			alone := (*tenant.sessions.Load())[len(many):]
			tenant.sessions.Store(&alone)
			start := time.Now()
			if _, err := io.ReadFull(conn, make([]byte, len(m))); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(start); waited > 0 {
				t.Errorf("waited %v", waited)
			}
		})
	}
}

// A session can be closed as soon as it has its seat.
func TestClosedWhileJoining(t *testing.T) {
	t.Parallel()
	active := policytest.Active(testRules())
	defer active.Close()
	limits := patient(testLimits())
	limits.LagHard = 0 // a peer that lags at all is closed
	tenant := NewTenant("default", active, limits, slog.New(slog.DiscardHandler))
	defer tenant.Close()
	var talking sync.WaitGroup
	defer talking.Wait()
	stop := make(chan struct{})
	defer close(stop)
	speaker := hubtest.Join(tenant.hub)
	talking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				tenant.hub.Handle(speaker.Seat, message(others, 1, "hello"))
			}
		}
	})
	for range 100 {
		near, far := loopback(t)
		join(tenant, far)
		io.Copy(io.Discard, near)
		near.Close()
	}
}
