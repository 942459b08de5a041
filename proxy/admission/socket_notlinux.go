//go:build !linux

package admission

import (
	"fmt"
	"net"
)

// setSocketOptions does nothing, as the options are Linux's. The write timeout of the tenant bounds the
// same as the first of them.
func setSocketOptions(*net.TCPConn, *Options) {}

// CheckCongestionControl accepts only the system's congestion control.
func CheckCongestionControl(name string) error {
	if name == "" {
		return nil
	}
	return fmt.Errorf("the congestion control %q can only be chosen on Linux; write \"\" for the system's", name)
}
