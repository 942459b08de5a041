//go:build full

package proxy

import (
	"net"
	"testing"
	"time"

	"switchyard/pdu"
)

// A msg_server that gets a burst moves a part of it for each PDU, and not all that is left. One
// that looks as if it kept up, because the system did not run it in time, can move more, so
// each burst has ten attempts. Not paced, none of them suffices.
func TestBurstSparesMsgServer(t *testing.T) {
	for _, c := range []struct{ pdus, size int }{{100_000, 66}, {20_000, 1024}} {
		unpaced := c.pdus * c.pdus * c.size / 2
		var moved []int
		for len(moved) < 10 && (len(moved) == 0 || moved[len(moved)-1] > unpaced/4) {
			moved = append(moved, movedForBurst(t, c.pdus, c.size))
		}
		if moved[len(moved)-1] > unpaced/4 {
			t.Errorf("%d PDUs of %d bytes: it moved %d bytes, want less than a quarter of the %d that a burst costs", c.pdus, c.size, moved, unpaced)
		}
	}
}

// movedForBurst sends a burst to a paced msg_server, and returns how many bytes it moved.
func movedForBurst(t *testing.T, pdus, size int) (bytes int) {
	t.Helper()
	l := patient(testLimits())
	l.LagHard, l.LagSoft = 1<<30, 0
	served, _, _ := serve(t, l)
	addr := servePaced(t, served)
	heard := 0
	m := dialMsgServer(t, addr, func(p []byte) {
		if pdu.ParseHeader(p).Command == others {
			heard++
		}
	})
	speaker := dial(t, addr)
	burst := make([]byte, 0, pdus*size)
	for range pdus {
		burst = append(burst, message(others, 1, string(make([]byte, size-pdu.HeaderLen)))...)
	}
	go speaker.Write(burst)
	for deadline := time.Now().Add(generous); heard < pdus; m.poll(100) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d PDUs were heard", heard, pdus)
		}
	}
	return m.moved
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
