package msgserver

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// A Server is a route server in the list of a msg_server.
type Server struct {
	Host string     // as it is written
	Addr netip.Addr // what msg_server connects to; invalid if that cannot be told
	Port uint16     // 0 if it is not a port
	Line int        // of the host
}

// String returns host and port.
func (s Server) String() string { return fmt.Sprintf("%s:%d", s.Host, s.Port) }

// sound reports whether it is known what msg_server connects to.
func (s Server) sound() bool { return s.Addr.IsValid() && s.Port != 0 }

var (
	serverKey = regexp.MustCompile(`^RouteServer(IP|Port)([1-9][0-9]{0,8})$`)
	nearlyKey = regexp.MustCompile(`(?i)^route[ _.-]*server[ _.-]*(ip|port|addr|address|host)?[ _.-]*0*([0-9]{0,9})$`)
)

// readServers makes the list of route servers. As msg_server's, it ends before the first number
// that lacks an address or a port (read_server_config in the original's base/ServInfo.cpp).
func (f *File) readServers() {
	for n := 1; ; n++ {
		host, hasHost := f.effective[fmt.Sprintf("RouteServerIP%d", n)]
		port, hasPort := f.effective[fmt.Sprintf("RouteServerPort%d", n)]
		if !hasHost || !hasPort {
			break
		}
		s := Server{Host: strings.TrimSuffix(host.value, "\r"), Line: host.line}
		s.Addr = f.readHost(host.key, s.Host, host.line)
		s.Port = f.readPort(port)
		f.Servers = append(f.Servers, s)
	}
	f.checkNumbers()
	f.checkRepeated()
	if len(f.Servers) == 0 {
		f.fault(0, "names no route server: there is no RouteServerIP1 with a RouteServerPort1", "add both")
	}
}

// checkNumbers reports keys behind the end of the list, and keys that look like those of the list.
// With RouteServerIP1, RouteServerPort1, RouteServerIP3 and RouteServerPort3, msg_server connects to
// the first one alone.
func (f *File) checkNumbers() {
	end := len(f.Servers) + 1 // the first number that is not in the list
	reported := make(map[int]bool)
	for _, s := range f.all {
		m := serverKey.FindStringSubmatch(s.key)
		if m == nil {
			f.checkSpelling(s)
			continue
		}
		n, _ := strconv.Atoi(m[2]) // nine digits at most
		if n < end || reported[n] {
			continue
		}
		reported[n], f.cut = true, true
		missing := map[string]string{"IP": "Port", "Port": "IP"}[m[1]]
		if n == end {
			f.fault(s.line, fmt.Sprintf("%s is not read, because RouteServer%s%d is missing or has no value", s.key, missing, n), "add it")
		} else {
			f.fault(s.line, fmt.Sprintf("%s is not read, because msg_server's list ends where RouteServerIP%d or RouteServerPort%d is missing", s.key, end, end), "number the route servers without a gap")
		}
	}
}

// checkSpelling reports a key that msg_server ignores and that was meant for the list, such as
// routeserver_ip1 or RouteServerIP01.
func (f *File) checkSpelling(s setting) {
	m := nearlyKey.FindStringSubmatch(s.key)
	if m == nil {
		return
	}
	kind, number := "IP", m[2]
	if strings.EqualFold(m[1], "port") {
		kind = "Port"
	}
	if number == "" {
		number = "1"
	}
	f.fault(s.line, fmt.Sprintf("msg_server knows no key %q", s.key), fmt.Sprintf("write RouteServer%s%s; the numbers begin at 1", kind, number))
}

// checkRepeated reports each route server that is in the list before.
func (f *File) checkRepeated() {
	first := make(map[netip.AddrPort]int)
	for i, s := range f.Servers {
		if !s.sound() {
			continue
		}
		at := netip.AddrPortFrom(s.Addr, s.Port)
		if before, twice := first[at]; twice {
			f.fault(s.Line, fmt.Sprintf("RouteServerIP%d and RouteServerIP%d are the same route server, which this msg_server then connects to twice, and receives everything twice", before+1, i+1), "name it once")
		} else {
			first[at] = i
		}
	}
}

// readHost returns the address that msg_server connects to: what inet_addr(3) makes of the text.
// Everything else msg_server looks up as a name. The result is invalid for that, and for an address
// to which nothing can connect.
func (f *File) readHost(key, host string, line int) netip.Addr {
	addr, err := netip.ParseAddr(host)
	read, numeric := inetAddr(host)
	switch {
	case err == nil && !addr.Is4():
		f.fault(line, fmt.Sprintf("%s: %s is an IPv6 address, and msg_server connects by IPv4 only", key, host), "write an IPv4 address of that machine")
	case err == nil && (addr.IsUnspecified() || addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255})):
		f.fault(line, fmt.Sprintf("%s: nothing can be connected to at %s", key, host), "write the address of the hub's machine")
	case err == nil:
		return addr
	case numeric:
		f.fault(line, fmt.Sprintf("%s: %q is read as %s, as inet_addr(3) reads it", key, host, read), "write four decimal numbers without leading zeros and nothing behind them")
		return read
	case strings.ContainsAny(host, ",; \t"):
		f.fault(line, fmt.Sprintf("%s: %q is not one address", key, host), "write one address for each number: RouteServerIP1, RouteServerIP2 and so on")
	case strings.Contains(host, ":"):
		f.fault(line, fmt.Sprintf("%s: %q is not an address", key, host), fmt.Sprintf("write the port as RouteServerPort%s", strings.TrimPrefix(key, "RouteServerIP")))
	default:
		f.fault(line, fmt.Sprintf("%s: %q is not an address but a name, and a msg_server that once cannot resolve it never tries again until it is restarted", key, host), "write the address")
	}
	return netip.Addr{}
}

// readPort returns the port, or 0. msg_server takes any text, by atoi(3), and the lowest 16 bits.
func (f *File) readPort(s setting) uint16 {
	text := strings.TrimSuffix(s.value, "\r")
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		f.fault(s.line, fmt.Sprintf("%s: %q is not a port", s.key, text), "write a number from 1 to 65535")
		return 0
	}
	return uint16(port)
}

var numberOfAddress = regexp.MustCompile(`^(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$`)

// inetAddr reads an address as inet_addr(3) does: up to four numbers, of which the last fills the
// bytes that are left. A number is octal behind a zero and hexadecimal behind 0x, and what stands
// behind white space is ignored.
//
//	010.1.0.4 is 8.1.0.4; 10.1.4 is 10.1.0.4
func inetAddr(text string) (addr netip.Addr, ok bool) {
	if end := strings.IndexAny(text, " \t\r\v\f"); end >= 0 {
		text = text[:end]
	}
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var sum uint64
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 0, 32)
		if err != nil || !numberOfAddress.MatchString(part) {
			return netip.Addr{}, false
		}
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (4 - i)
		}
		if n >= 1<<bits {
			return netip.Addr{}, false
		}
		sum = sum<<bits | n
	}
	return netip.AddrFrom4([4]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}), true
}
