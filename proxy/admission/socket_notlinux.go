//go:build !linux

package admission

import (
	"fmt"
	"net"
	"time"
)

// setUserTimeout does nothing where there is no such option; the write timeout of
// the tenant's limits bounds the same.
func setUserTimeout(*net.TCPConn, time.Duration) {}

func setCongestionControl(*net.TCPConn, string) {}

// CheckCongestionControl knows none but the system's here.
func CheckCongestionControl(name string) error {
	if name == "" {
		return nil
	}
	return fmt.Errorf("the congestion control %q can only be chosen on Linux; write \"\" for the system's", name)
}
