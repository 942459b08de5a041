//go:build !linux

package proxy

import (
	"net"
	"time"
)

// On Linux a loop reads for many sessions in one goroutine. Here each session has a
// goroutine of its own, and there is no loop.
type loop struct{}

func startLoop(*Tenant) *loop { return nil }

func (*loop) add(*session) bool               { return false }
func (*loop) end(*session) bool               { return false }
func (*loop) serveWhenWritable(*session) bool { return false }
func (*loop) wake()                           {}
func (*loop) release(*session)                {}
func (*loop) interrupt(s *session)            { s.conn.SetReadDeadline(time.Now()) }
func (*loop) awaitProgress()                  {}
func (*loop) awaitRead()                      {}
func (*loop) roundBegan() int64               { panic("not reached: there is no loop") }

func (*rawConn) paced() bool { return false }
func (*rawConn) unpace()     {}

type rawReader struct{}

func newRawReader(net.Conn) *rawReader { return nil }

func (*rawReader) tryRead([]byte) (int, error) { panic("not reached: there is no rawReader") }

// unacknowledged and unread are known on Linux only.
func unacknowledged(net.Conn) (n int, known bool) { return 0, false }
func unread(net.Conn) (n int, known bool)         { return 0, false }
