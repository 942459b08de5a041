//go:build unix

package proxy

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TCP urgent data closes the connection, as with the original. The kernel drops urgent
// data when a read is in progress at that moment, so the peer sends it several times.
func TestUrgentData(t *testing.T) {
	t.Parallel()
	tenant, addr, lines := serve(t, patient(testLimits()))
	a := dial(t, addr)
	last := time.Time{}
	eventually(t, "the session ends", func() bool {
		if time.Since(last) > 100*time.Millisecond {
			sendUrgent(a.TCPConn)
			last = time.Now()
		}
		return tenant.Hub().Counts().Sessions == 0
	})
	expectLine(t, lines, "reason=urgent-data")
}

// sendUrgent sends one byte of urgent data, if the connection still exists.
func sendUrgent(conn *net.TCPConn) {
	if raw, err := conn.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { unix.Send(int(fd), []byte{'!'}, unix.MSG_OOB) })
	}
}
