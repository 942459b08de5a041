//go:build !linux

package admin

import "net"

// owner says which user opened a connection to the socket: the one that may.
func owner(*net.UnixConn) string { return "user of the server" }
