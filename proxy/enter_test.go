package proxy

import (
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/policy"
	"switchyard/proxy/hub"
)

// A voice is a peer without a connection.
type voice struct{}

func (voice) Noted(hub.Note)   {}
func (voice) Close(hub.Reason) {}

// A doorbell is a tap that rings when somebody comes in.
type doorbell chan struct{}

func (doorbell) Present(uint64, bool) {}
func (d doorbell) Joined(uint64)      { d <- struct{}{} }
func (doorbell) Left(uint64)          {}
func (doorbell) Judged(hub.Judged)    {}

// What is said at the very moment at which a peer comes in reaches it at once, and not
// with the next beat.
func TestHeardWhileComingIn(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			tenant, stop := pipeTenant(testLimits())
			defer stop()
			conn, far := net.Pipe()
			defer conn.Close()
			speaker := tenant.hub.Join(voice{})
			many := make([]*session, 0, 1<<16) // so that to add one takes a while
			for first := newSession(tenant, nil, nil); len(many) < cap(many); {
				first.seat = speaker
				many = append(many, first)
			}
			tenant.sessions.Store(&many)
			ring := make(doorbell, 1)
			tenant.hub.Attach(ring)
			m := message(others, 1, "welcome")
			var talking sync.WaitGroup
			talking.Go(func() {
				<-ring
				tenant.hub.Handle(speaker, m)
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
func TestClosedWhileComingIn(t *testing.T) {
	judge := policy.NewActive(policy.NewGeneration("test", "", testRules()))
	defer judge.Close()
	limits := testLimits()
	limits.LagHard = 0 // whoever is behind at all is closed
	tenant := NewTenant("default", judge, limits, slog.New(slog.DiscardHandler))
	defer tenant.Close()
	var talking sync.WaitGroup
	defer talking.Wait()
	stop := make(chan struct{})
	defer close(stop)
	speaker := tenant.hub.Join(voice{})
	talking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				tenant.hub.Handle(speaker, message(others, 1, "hello"))
			}
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 200 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		join(tenant, far)
		io.Copy(io.Discard, conn)
		conn.Close()
	}
}
