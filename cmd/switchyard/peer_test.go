package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// A peer is a connection of the tests.
type peer struct {
	t testing.TB
	net.Conn
}

// dial connects and returns when the hub has given the connection its seat.
func (p *process) dial() peer {
	p.t.Helper()
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.join(conn)
}

// join returns conn as a peer when the hub has given it its seat.
func (p *process) join(conn net.Conn) peer {
	p.t.Helper()
	p.t.Cleanup(func() { conn.Close() })
	c := peer{p.t, conn}
	c.settle()
	return c
}

func (c peer) say(pdus ...[]byte) {
	c.t.Helper()
	c.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.Write(bytes.Join(pdus, nil)); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads exactly the wanted PDUs.
func (c peer) expect(want ...[]byte) {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	for _, w := range pdutest.Split(bytes.Join(want, nil)) {
		if got, err := readSaid(c); err != nil || !bytes.Equal(got, w) {
			c.t.Fatalf("got %d bytes, %.40x (%v), want %s", len(got), got, err, pdutest.Dump(w))
		}
	}
}

// readSaid reads the next PDU and skips heartbeats. The hub sends a heartbeat to a peer that has been
// sent nothing for a while, as happens on a busy machine.
func readSaid(r io.Reader) ([]byte, error) {
	for {
		if p, err := readPDU(r); err != nil || !isHeartbeat(p) {
			return p, err
		}
	}
}

func isHeartbeat(p []byte) bool { return bytes.Equal(p, pdutest.Heartbeat()) }

// readPDU reads one PDU.
func readPDU(r io.Reader) ([]byte, error) {
	p := make([]byte, pdu.HeaderLen)
	if n, err := io.ReadFull(r, p); err != nil {
		return p[:n], err
	}
	length := int(pdu.ParseHeader(p).Length)
	if length < pdu.HeaderLen || length > pdu.DefaultMaxLen {
		return p, fmt.Errorf("a header %x, which no PDU has", p)
	}
	p = append(p, make([]byte, length-len(p))...)
	n, err := io.ReadFull(r, p[pdu.HeaderLen:])
	return p[:pdu.HeaderLen+n], err
}

// settle requests the status of no user, and expects the answer next: then everything that
// was sent before has been handled.
func (c peer) settle() {
	c.t.Helper()
	c.say(pdutest.StatusRequest(7, 1, nil))
	c.expect(pdutest.StatusResponse(7, 1, nil))
}
