package admission

import (
	"net"
	"net/netip"
	"slices"
	"time"
)

// A connection is one on its way to a tenant, and what is known about it so far.
type connection struct {
	listener *Listener
	options  *Options // those in force when it was accepted
	conn     *net.TCPConn
	peer     netip.AddrPort // the socket's, until a proxy announces another
	proxied  bool           // the socket's peer is a proxy
	counted  bool           // peer has a place among the sources; guarded by Listener.mu

	serverName string   // that a client of TLS asked for
	identities []string // in the certificate that it showed
	claimed    string   // the tenant that claims it
}

// arrive takes a connection as far as it gets without waiting.
func (l *Listener) arrive(conn *net.TCPConn) {
	c := &connection{listener: l, options: l.options.Load(), conn: conn, peer: unmapped(conn.RemoteAddr().(*net.TCPAddr))}
	c.proxied = within(c.options.ProxyFrom, c.source())
	if why := c.enter(); why != "" {
		c.refuse(why, nil)
		return
	}
	tune(conn, c.options.CongestionControl)
	if c.proxied || c.options.TLS != nil {
		l.done.Go(c.handshake)
		return
	}
	// Not a goroutine of its own: who connects and says nothing takes part at once.
	c.hand(conn)
}

// source is the address that allow-lists, limits and claims are about.
func (c *connection) source() netip.Addr { return c.peer.Addr().WithZone("") }

// enter counts the connection, and says why it may not go on, or nothing. A proxy's is
// judged by who it announces: see enterAnnounced.
func (c *connection) enter() Reason {
	allowed := c.proxied || c.allowed()
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Accepted++
	l.counts.Handshaking++
	switch most := c.options.Connections; {
	case most > 0 && l.counts.Handshaking+l.counts.Open > most:
		return ListenerFull
	case !allowed:
		return NotAllowed
	case c.proxied:
		return ""
	}
	return c.takePlace()
}

// enterAnnounced applies the limits of a source to the one that a proxy announced, so
// that nobody gets around them through a proxy.
func (c *connection) enterAnnounced() Reason {
	if !c.allowed() {
		return NotAllowed
	}
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	return c.takePlace()
}

// takePlace gives the connection a place among those of its source. The caller holds
// Listener.mu.
func (c *connection) takePlace() Reason {
	why := c.listener.sources.enter(c.source(), time.Now(), c.options)
	c.counted = why == ""
	return why
}

// leavePlace gives it back. The caller holds Listener.mu.
func (c *connection) leavePlace() {
	if c.counted {
		c.listener.sources.leave(c.source(), time.Now())
		c.counted = false
	}
}

func (c *connection) allowed() bool {
	return len(c.options.Allow) == 0 || within(c.options.Allow, c.source())
}

func within(networks []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// unmapped returns the address with IPv4 as IPv4, however the socket shows it.
func unmapped(a *net.TCPAddr) netip.AddrPort {
	mapped := a.AddrPort()
	return netip.AddrPortFrom(mapped.Addr().Unmap(), mapped.Port())
}

// unmappedNetworks returns the networks as those of such addresses.
func unmappedNetworks(networks []netip.Prefix) []netip.Prefix {
	networks = slices.Clone(networks)
	for i, p := range networks {
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			networks[i] = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
	}
	return networks
}
