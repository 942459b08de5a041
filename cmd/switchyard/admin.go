package main

import (
	"fmt"
	"maps"
	"net"
	"slices"
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
	y.admin = admin.Serve(l, admin.Facts{Version: version.String(), Tenants: y.facts}, y.log)
	y.log.Info("admin", "address", y.admin.Addr().String())
	return nil
}

// facts returns the tenants for whoever asks, by name.
func (y *yard) facts() []admin.Tenant {
	serving := *y.serving.Load()
	var all []admin.Tenant
	for _, name := range slices.Sorted(maps.Keys(serving)) {
		all = append(all, admin.Tenant{Name: name, Hub: serving[name].Hub()})
	}
	return all
}
