//go:build full

package proxy

import (
	"net"
	"testing"
	"time"

	"switchyard/pdu"
)

// A msg_server that gets a burst moves a part of it for each PDU, and not all that is left.
func TestBurstSparesMsgServer(t *testing.T) {
	for _, c := range []struct{ pdus, size int }{{100_000, 66}, {20_000, 1024}} {
		l := testLimits()
		l.Timeout, l.WriteTimeout, l.LagHard, l.LagSoft = time.Hour, time.Hour, 1<<30, 0
		served, _, _ := serve(t, l)
		addr := servePaced(t, served)
		heard := 0
		m := dialMsgServer(t, addr, func(p []byte) {
			if pdu.ParseHeader(p).Command == others {
				heard++
			}
		})
		speaker := dial(t, addr)
		burst := make([]byte, 0, c.pdus*c.size)
		for range c.pdus {
			burst = append(burst, message(others, 1, string(make([]byte, c.size-pdu.HeaderLen)))...)
		}
		go speaker.Write(burst)
		for deadline := time.Now().Add(generous); heard < c.pdus; m.poll(100) {
			if time.Now().After(deadline) {
				t.Fatalf("%d of %d PDUs were heard", heard, c.pdus)
			}
		}
		if most := c.pdus * len(burst) / 2; m.moved > most/4 {
			t.Errorf("%d PDUs of %d bytes: it moved %d MB, want less than a quarter of the %d MB that a burst costs", c.pdus, c.size, m.moved>>20, most>>20)
		}
	}
}

// servePaced accepts further connections for the tenant, and paces them.
func servePaced(t *testing.T, served *Tenant) (addr string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			setPaced(t, conn.(*net.TCPConn))
			join(served, conn)
		}
	}()
	return listener.Addr().String()
}
