package proxy

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
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

// A session that ends is served until what its peer said has come back, for 5 s at most, and no longer
// if it is closed at once.
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

// A process that has handed its tenant over does not wait for sessions that leave the order late, because
// the other process says that they have left.
func TestDepartAwaitsNoLateSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rules := testRules()
		rules[pdu.CID_OTHER_ROLE_SET] = abi.Handle | abi.RoleSet<<32
		active := policytest.Active(rules)
		defer active.Close()
		tenant := NewTenant("default", active, testLimits(), slog.New(slog.DiscardHandler))
		tenant.SetOrder(lostOrder{}, 1)
		tenant.Hub().SetStandbyLinks()
		conn, far := net.Pipe()
		join(tenant, far)
		conn.Write(pdutest.RoleSet(true))
		synctest.Wait()
		if err := tenant.Freeze(t.Context()); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		tenant.Depart(t.Context(), nil)
		if waited := time.Since(begun); waited > 0 || tenant.Hub().Late() != 1 {
			t.Errorf("departed after %v, %d sessions leave late, want 0 and 1", waited, tenant.Hub().Late())
		}
	})
}
