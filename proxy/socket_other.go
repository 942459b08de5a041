//go:build !unix

package proxy

import "net"

// On Unix a rawConn writes without waiting. Here no connection can, so there is none.
type rawConn struct{}

func newRawConn(net.Conn) *rawConn { return nil }

func (*rawConn) tryWrite([][]byte) (int, error) { panic("not reached: there is no rawConn") }

func (*rawConn) urgent() bool { return false }
