package config

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$`)

// portPattern matches a port, 0 to 65535.
const portPattern = `0*([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])`

// checkAddress accepts host:port. The host is an address, a name, or empty for all addresses; the
// port is a number. Names of services, such as http, are not looked up.
var checkAddress = check{`^(\[[^\[\]]*\]|[A-Za-z0-9_.%-]*):` + portPattern + `$`, func(address string) error {
	const remedy = `write host:port, such as "127.0.0.1:8200" or "[::1]:8200"`
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not an address; %s", address, remedy)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q has port %q; write a number from 0 (any free one) to 65535", address, port)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !hostName.MatchString(host) {
		return fmt.Errorf("%q has host %q; %s", address, host, remedy)
	}
	return nil
}}

// maxSocket is the length in bytes of the longest path of a Unix socket, on the system
// with the lowest limit.
const maxSocket = 103

// checkSocket accepts the path of a Unix socket, or an empty one.
var checkSocket = check{`^[^\x00]{0,103}$`, func(path string) error {
	if len(path) > maxSocket {
		return fmt.Errorf("%q has %d bytes, and the path of a socket has %d at most; write a shorter one", path, len(path), maxSocket)
	}
	return checkPath.accept(path)
}}

// isLoopback reports whether a valid address is reachable only from this machine. The
// only name known to be is localhost.
func isLoopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// normalAddress returns the one spelling of a valid address. All that listen at the same
// sockets have the same one: Go listens for IPv4 and IPv6 at any unspecified address, and
// at 127.0.0.1 for localhost.
//
//	:8200  0.0.0.0:8200  [::]:8200        [::]:8200
//	localhost:08200  [::ffff:127.0.0.1]:8200   127.0.0.1:8200
//	Hub.example:8200                      hub.example:8200
func normalAddress(address string) string {
	host, port, _ := net.SplitHostPort(address)
	host = strings.ToLower(host)
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	if host == "" || host == "0.0.0.0" {
		host = "::"
	}
	n, _ := strconv.Atoi(port)
	return net.JoinHostPort(host, strconv.Itoa(n))
}

// SameAddress reports whether two valid addresses are spellings of the same one.
func SameAddress(a, b string) bool { return normalAddress(a) == normalAddress(b) }

// Collide reports whether two valid addresses cannot be listened on at the same time: they
// are the same, or one is an unspecified address with the other's port. What another host
// name stands for is not looked up.
func Collide(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(normalAddress(a))
	hostB, portB, _ := net.SplitHostPort(normalAddress(b))
	return portA == portB && portA != "0" && (hostA == hostB || hostA == "::" || hostB == "::")
}

// nameListeners gives each listener the name by which reloads recognize it: its address
// in one spelling. Of several with port 0, the second is named "127.0.0.1:0#2", and so on.
func (c *Config) nameListeners() {
	seen := make(map[string]int)
	for i := range c.Listeners {
		l := &c.Listeners[i]
		if checkAddress.accept(l.Address) != nil {
			continue // reported elsewhere
		}
		l.Name = normalAddress(l.Address)
		seen[l.Name]++
		if n := seen[l.Name]; n > 1 {
			l.Name += "#" + strconv.Itoa(n)
		}
	}
}
