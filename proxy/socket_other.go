//go:build !unix

package proxy

import "net"

// A rawConn would write without waiting; here no connection can.
type rawConn struct{}

func newRawConn(net.Conn) *rawConn { return nil }

func (*rawConn) tryWrite([][]byte) (int, error) { panic("not reached: there is no rawConn") }

func (*rawConn) urgent() bool { return false }
