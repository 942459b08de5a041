package proxy

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/pdu"
	"switchyard/policy/policytest"
	"switchyard/proxy/hub/hubtest"
	"switchyard/proxy/logtest"
)

// Tests in a synctest bubble, whose time moves only when all goroutines are blocked. So
// they see every wait, also one because of a lost wake-up.

// A bubble is a tenant in a synctest bubble, with what it logs.
type bubble struct {
	*testing.T
	*Tenant
	lines *logtest.Lines
}

// inBubble runs play with a tenant in a synctest bubble, and checks afterwards that the
// counts add up.
func inBubble(t *testing.T, l Limits, play func(bubble)) {
	synctest.Test(t, func(t *testing.T) {
		active := policytest.Active(testRules())
		y := bubble{T: t, lines: new(logtest.Lines)}
		y.Tenant = NewTenant("default", active, l, slog.New(slog.NewTextHandler(y.lines, nil)))
		defer active.Close()
		defer hubtest.Conserved(t, y.Hub())
		defer y.Close()
		play(y)
	})
}

// enter connects a peer that reads everything.
func (y bubble) enter() net.Conn {
	conn, far := net.Pipe()
	join(y.Tenant, far)
	go io.Copy(io.Discard, conn)
	return conn
}

// idle connects a peer that reads nothing.
func (y bubble) idle() net.Conn {
	conn, far := net.Pipe()
	join(y.Tenant, far)
	return conn
}

// However writers, flushers and appenders meet, everything arrives without waiting for
// the next tick.
func TestNoWakeUpIsLost(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			const senders, each = 4, 300
			tenant, stop := pipeTenant(testLimits())
			defer stop()
			reader, far := net.Pipe()
			join(tenant, far)
			start := time.Now()
			var talking sync.WaitGroup
			for i := range senders {
				conn, far := net.Pipe()
				join(tenant, far)
				talking.Go(func() { io.Copy(io.Discard, conn) })
				talking.Go(func() {
					for n := range each {
						b := binary.BigEndian.AppendUint32([]byte{byte(i)}, uint32(n))
						conn.Write(pdu.Append(nil, pdu.SID_MSG, others, 0, b))
					}
				})
				defer talking.Wait()
				defer conn.Close()
			}
			defer reader.Close()
			if _, err := io.ReadFull(reader, make([]byte, senders*each*(pdu.HeaderLen+5))); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(start); waited > 0 {
				t.Errorf("waited %v", waited)
			}
		})
	}
}

// A session whose reader has stopped for a drain still gets what others send until their
// readers stop: here a PDU of which half had arrived.
func TestDrainWaitsForTheRestOfAPDU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, stop := pipeTenant(testLimits())
		defer stop()
		talker, talked := listen(tenant)
		_, received := listen(tenant)
		m := message(others, 1, "in two halves")
		talker.Write(m[:20])
		synctest.Wait()
		done := make(chan error)
		go func() { done <- tenant.Drain(context.Background(), 0) }()
		time.Sleep(stopTime / 2)
		talker.Write(m[20:])
		if err := <-done; err != nil {
			t.Errorf("Drain: %v", err)
		}
		if got := <-received; len(got) != 2 || got[0].what != "other" {
			t.Errorf("got %v, want the PDU and the end", got)
		}
		<-talked
	})
}

// A PDU whose rest does not arrive delays the drain for stopTime and no longer.
func TestDrainDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, stop := pipeTenant(testLimits())
		defer stop()
		talker, talked := listen(tenant)
		talker.Write(message(others, 1, "never finished")[:20])
		synctest.Wait()
		go func() { // a little more, at an odd time
			time.Sleep(quietTime * 3 / 5)
			talker.Write([]byte{0})
		}()
		start := time.Now()
		if err := tenant.Drain(context.Background(), 0); err != nil {
			t.Errorf("Drain: %v", err)
		}
		if took := time.Since(start); took != stopTime {
			t.Errorf("took %v, want %v", took, stopTime)
		}
		<-talked
	})
}

// The write timeout is for peers that take nothing. A peer that takes a little now and
// then stays connected.
func TestTakingLittleIsTakingSomething(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLimits()
		l.Timeout, l.LagSoft = 0, 0
		tenant, stop := pipeTenant(l)
		defer stop()
		talker, talked := listen(tenant)
		slow, far := net.Pipe()
		join(tenant, far)
		m := message(others, 1, string(make([]byte, 10_000)))
		talker.Write(m)
		for got := 0; got < len(m); {
			time.Sleep(l.WriteTimeout * 3 / 4)
			n, err := slow.Read(make([]byte, 1000))
			if err != nil {
				t.Fatalf("after %d bytes: %v", got, err)
			}
			got += n
		}
		slow.Close()
		talker.Close()
		<-talked
	})
}
