//go:build !linux

package admission

import (
	"fmt"
	"net"
	"time"
)

// setUserTimeout does nothing, as the option is Linux's. The write timeout of the tenant
// bounds the same.
func setUserTimeout(*net.TCPConn, time.Duration) {}

func setUnsentLimit(*net.TCPConn, int) {}

func setCongestionControl(*net.TCPConn, string) {}

// CheckCongestionControl accepts only the system's congestion control.
func CheckCongestionControl(name string) error {
	if name == "" {
		return nil
	}
	return fmt.Errorf("the congestion control %q can only be chosen on Linux; write \"\" for the system's", name)
}
