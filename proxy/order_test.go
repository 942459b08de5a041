package proxy

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/hub"
	"switchyard/proxy/order"
)

// A lostOrder is an order from which nothing comes back.
type lostOrder struct{}

func (lostOrder) Say(*order.Record)     {}
func (lostOrder) Full() bool            { return false }
func (lostOrder) Ready() error          { return nil }
func (lostOrder) Leave(context.Context) {}
func (lostOrder) Depart()               {}
func (lostOrder) Close()                {}

// A session that ends is served until what its peer said has come back, for 5 s at most, and no longer if it
// is closed at once.
func TestClosedWhileLeavingTheOrder(t *testing.T) {
	for _, closed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			tenant, stop := pipeTenant(testLimits())
			defer stop()
			tenant.SetOrder(lostOrder{}, 1)
			conn, far := net.Pipe()
			join(tenant, far)
			s := (*tenant.sessions.Load())[0]
			conn.Write(message(others, 1, "hello"))
			conn.Close()
			synctest.Wait()
			begun, want := time.Now(), orderTime
			if closed {
				s.Close(hub.SlowConsumer)
				want = 0
			}
			<-s.done
			if waited := time.Since(begun); waited != want {
				t.Errorf("closed %v: the session has ended after %v, want %v", closed, waited, want)
			}
		})
	}
}
