package main

import (
	"fmt"
	"net"
	"strings"

	"switchyard/proxy/admin"
)

// openAdmin starts answering operators, if the configuration has an address for it.
func (y *yard) openAdmin() error {
	address := y.config.Admin.Address
	if address == "" {
		return nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return unavailableError{fmt.Errorf("listen on %s for admin: %w; free the address, or set another by --set admin.address=127.0.0.1:0, or none by --set admin.address=", address, err)}
	}
	if ip := l.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
		l.Close()
		return unavailableError{fmt.Errorf("listen on %s for admin: %s is not the loopback; write 127.0.0.1", address, ip)}
	}
	var version strings.Builder
	if err := printVersion(&version); err != nil {
		return err
	}
	facts := admin.Facts{Version: version.String()}
	for _, t := range y.config.Tenants {
		facts.Tenants = append(facts.Tenants, admin.Tenant{Name: t.Name, Hub: y.tenants[t.Name].tenant.Hub()})
	}
	y.admin = admin.Serve(l, facts, y.log)
	y.log.Info("admin", "address", y.admin.Addr().String())
	return nil
}
