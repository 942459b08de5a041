//go:build !linux

package admission

import (
	"net"
	"time"
)

// setUserTimeout does nothing where there is no such option; the write timeout of
// the tenant's limits bounds the same.
func setUserTimeout(*net.TCPConn, time.Duration) {}
