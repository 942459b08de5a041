//go:build full || race

package main

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// next reads one PDU.
func (c peer) next() []byte {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	p, err := readSaid(c)
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// expectEnd fails the test unless the connection closes without a PDU.
func expectEnd(t testing.TB, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(patience))
	if got, err := readSaid(conn); err == nil || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d bytes, %.40x, %v; want the connection closed", len(got), got, err)
	}
}
