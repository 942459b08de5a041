package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"switchyard/proxy/config"
)

// lookUpTime is how long check waits for the look-up of a host name.
const lookUpTime = 2 * time.Second

// A lookUp returns the addresses of a host, as net.Resolver.LookupNetIP does.
type lookUp func(ctx context.Context, network, host string) ([]netip.Addr, error)

// checkHosts looks up the host names of all addresses, and returns those that cannot be listened on
// beside another one. The configuration's own check knows only addresses and localhost. A name that
// cannot be looked up here may be known where the server runs, so it is only a warning.
func checkHosts(c *config.Config, look lookUp, stdout io.Writer) error {
	type listening struct{ key, address, meant string }
	var all []listening
	add := func(key, address string) {
		if address == "" {
			return
		}
		meant, err := meantBy(address, look)
		if err != nil {
			fmt.Fprintf(stdout, "%s: warning: %q cannot be looked up, so whether it collides with another address is not known: %v\n", key, address, err)
			return
		}
		all = append(all, listening{key, address, meant})
	}
	add("admin.address", c.Admin.Address)
	add("metrics.address", c.Metrics.Address)
	for i, l := range c.Listeners {
		add(fmt.Sprintf("listener.%d.address", i), l.Address)
	}
	var faults []error
	for i, l := range all {
		other := slices.IndexFunc(all[:i], func(o listening) bool {
			return config.Collide(l.meant, o.meant) && !config.Collide(l.address, o.address) // else it is refused already
		})
		if other >= 0 {
			faults = append(faults, invalidKey(c, l.key, fmt.Errorf("%q is %s, which %s has too (%q); write another",
				l.address, l.meant, all[other].key, all[other].address)))
		}
	}
	return errors.Join(faults...)
}

// meantBy returns a valid address with the host that is listened on: for a name the first IPv4
// address, or else the first one, as net.Listen takes it.
func meantBy(address string, look lookUp) (string, error) {
	host, port, _ := net.SplitHostPort(address)
	if _, err := netip.ParseAddr(host); err == nil || host == "" || strings.EqualFold(host, "localhost") {
		return address, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookUpTime)
	defer cancel()
	ips, err := look(ctx, "ip", host)
	if err != nil {
		return "", err
	}
	at := max(0, slices.IndexFunc(ips, func(ip netip.Addr) bool { return ip.Unmap().Is4() }))
	if at >= len(ips) {
		return "", errors.New("it has no address")
	}
	return net.JoinHostPort(ips[at].Unmap().String(), port), nil
}
