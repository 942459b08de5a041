//go:build full || race

package proxy

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy/policytest"
	"switchyard/proxy/hub"
	"switchyard/proxy/tenant"
)

// departs freezes the tenant, checks how many sessions can move, and has it depart. It returns
// them with connections of the same sockets, as the other process would have.
func departs(t *testing.T, served *Tenant, want, drained, closed int) []Moving {
	t.Helper()
	freezeNow(t, served)
	moving, gotDrained, gotClosed := served.Moving(64 << 20)
	if len(moving) != want || gotDrained != drained || gotClosed != closed {
		t.Fatalf("%d sessions move, %d are drained, %d closed; want %d, %d, %d", len(moving), gotDrained, gotClosed, want, drained, closed)
	}
	elsewhere := make([]Moving, len(moving))
	for i, m := range moving {
		elsewhere[i] = m
		elsewhere[i].Conn = duplicate(t, m.Conn)
		t.Cleanup(func() { elsewhere[i].Conn.Close() })
	}
	ctx, cancel := context.WithTimeout(context.Background(), generous)
	defer cancel()
	served.Depart(ctx, moving)
	return elsewhere
}

// expectAll expects that what a session takes along and what its socket holds is what its peer
// has sent after handled bytes.
func (m Moving) expectAll(t *testing.T, sent []byte, handled int) {
	t.Helper()
	m.Conn.SetReadDeadline(time.Now().Add(generous))
	got := bytes.Clone(m.Input)
	for len(got) < len(sent)-handled {
		b := make([]byte, 4096)
		n, err := m.Conn.Read(b)
		if got = append(got, b[:n]...); err != nil {
			t.Fatalf("after %d bytes of %d: %v", len(got), len(sent)-handled, err)
		}
	}
	if !bytes.Equal(got, sent[handled:]) {
		t.Errorf("%d bytes move, which are not the %d that were not handled", len(got), len(sent)-handled)
	}
}

// The connection of a session that moves continues: its peer notices nothing, whichever goroutine
// has read from it and whatever that one was waiting for.
func TestDepart(t *testing.T) {
	limited := patient(testLimits())
	limited.Quota = tenant.Quota{Peer: tenant.Rates{PDUsIn: 3}}
	m := message(others, 1, "some text")
	for name, test := range map[string]struct {
		limits Limits
		own    bool
		sent   []byte
	}{
		"silent, in the loop":        {patient(testLimits()), false, nil},
		"silent, outside the loop":   {patient(testLimits()), true, nil},
		"half a PDU, in the loop":    {patient(testLimits()), false, m[:20]},
		"half a PDU, outside":        {patient(testLimits()), true, m[:20]},
		"paused":                     {limited, false, append(bytes.Repeat(m, 20), m[:20]...)},
		"paused, outside the loop":   {limited, true, append(bytes.Repeat(m, 20), m[:20]...)},
		"a few bytes, not yet a PDU": {patient(testLimits()), false, m[:3]},
	} {
		t.Run(name, func(t *testing.T) {
			served, _, _ := serve(t, test.limits)
			near, far := loopback(t)
			peer := client{t, near}
			if test.own {
				join(served, ownReader{far})
			} else {
				join(served, far)
			}
			s := (*served.sessions.Load())[0]
			peer.say(test.sent)
			eventually(t, "it is read", func() bool {
				return len(test.sent) == 0 || s.input.unfinished.since.Load() != 0 || s.input.paused.Load()
			})
			moving := departs(t, served, 1, 0, 0)[0]
			moving.expectAll(t, test.sent, int(served.hub.Counts().BytesIn))
			if n := len(moving.State.Sniffed); n != min(len(test.sent), pdu.HeaderLen) || moving.State.GotPDU != (len(test.sent) > len(m)) {
				t.Errorf("%+v", moving.State)
			}
			moving.Conn.Write([]byte("from there"))
			peer.expect([]byte("from there"))
			moving.Conn.Close()
			peer.expectEnd()
			if c := served.hub.Counts(); len(c.Closed)+len(c.Discarded)+c.Sessions > 0 {
				t.Errorf("%+v", c)
			}
		})
	}
}

// Whoever cannot move is written what is due, and ends for the reason handover: a TLS connection,
// one to which too much is due, and one that is to end anyhow, for its own reason.
func TestDepartOfThoseWhoStay(t *testing.T) {
	served, addr, _ := serve(t, patient(testLimits()))
	secret := joinTLS(t, served)
	a, lagging, asked := dial(t, addr), dial(t, addr), dial(t, addr)
	sent := bytes.Repeat(large, 100)
	received := make(chan []byte, 2)
	for _, conn := range []net.Conn{secret, asked} {
		go func() {
			got, _ := io.ReadAll(conn)
			conn.Close()
			received <- got
		}()
	}
	a.say(sent)
	a.settle()
	served.End((*served.sessions.Load())[3].conn, hub.NotAllowed)
	eventually(t, "the one that is asked has ended", func() bool { return len(*served.sessions.Load()) == 3 }) // counted a moment before
	freezeNow(t, served)
	moving, drained, closed := served.Moving(64 << 20)
	if len(moving) != 1 || drained != 1 || closed != 1 {
		t.Fatalf("%d sessions move, %d are drained, %d closed; want one of each", len(moving), drained, closed)
	}
	elsewhere := duplicate(t, moving[0].Conn)
	defer elsewhere.Close()
	departed := make(chan struct{})
	go func() {
		defer close(departed)
		ctx, cancel := context.WithTimeout(context.Background(), generous)
		defer cancel()
		served.Depart(ctx, moving)
	}()
	lagging.expect(sent)
	lagging.expectEnd()
	for range 2 {
		if got := <-received; !bytes.Equal(got, sent) {
			t.Errorf("got %d bytes, want the %d that were due", len(got), len(sent))
		}
	}
	<-departed
	elsewhere.Write([]byte("from there"))
	a.expect([]byte("from there"))
	if c := served.hub.Counts(); c.Closed[hub.Handover] != 2 || c.Sessions > 0 {
		t.Errorf("%+v", c)
	}
}

// What a peer that cannot move has sent and was not handled is refused, not routed in a hub
// that others have left.
func TestDepartRefuses(t *testing.T) {
	for name, limits := range map[string]Limits{
		"quota": func() Limits {
			l := patient(testLimits())
			l.Quota = tenant.Quota{Peer: tenant.Rates{PDUsIn: 3}}
			return l
		}(),
		"full log": patient(fullLimits(tenant.Slow)),
	} {
		t.Run(name, func(t *testing.T) {
			served, _, _ := serveBy(t, limits, policytest.Active(testRules()))
			talking, stalled := joinTLS(t, served), joinTLS(t, served)
			go talking.Write(bytes.Repeat(large, 200))
			s := (*served.sessions.Load())[0]
			eventually(t, "the reader pauses", s.input.paused.Load)
			freezeNow(t, served)
			before := served.hub.Counts()
			ctx, cancel := context.WithTimeout(context.Background(), generous)
			defer cancel()
			for _, conn := range []net.Conn{talking, stalled} {
				go func() {
					io.Copy(io.Discard, conn)
					conn.Close()
				}()
			}
			served.Depart(ctx, nil)
			c := served.hub.Counts()
			if c.Due != before.Due || c.Dropped[hub.SessionEnded] == 0 || c.Closed[hub.Handover] != 2 {
				t.Errorf("%+v became %+v", before, c)
			}
		})
	}
}
