package admission

import (
	"net"
	"net/netip"
	"slices"
	"time"
)

// A connection is on its way to a tenant. The struct holds what is known of it so far.
// It belongs to one goroutine: that of acceptLoop, then that of handshake. Once a tenant
// serves it, it no longer changes.
type connection struct {
	listener *Listener
	options  *Options // those in force when it was accepted
	conn     *net.TCPConn
	peer     netip.AddrPort // of the socket, until a proxy announces another
	proxied  bool           // the socket's peer is a proxy
	counted  bool           // peer is counted in sources; guarded by Listener.mu
	expired  chan struct{}  // closed when the time for the handshake is over; nil without one

	serverName string   // that the TLS client asked for
	identities []string // in its certificate
	issuers    []string // of it
	claimed    string   // the tenant that claims it
	admitted   admitted
}

// arrive takes a connection as far as possible without waiting for the peer.
func (l *Listener) arrive(conn *net.TCPConn) {
	c := &connection{listener: l, options: l.options.Load(), conn: conn, peer: unmapped(conn.RemoteAddr().(*net.TCPAddr))}
	c.proxied = within(c.options.ProxyFrom, c.source())
	if why := c.enter(); why != "" {
		c.refuse(why, nil)
		return
	}
	tune(conn, c.options)
	if c.proxied || c.options.TLS != nil {
		l.done.Go(c.handshake)
		return
	}
	// Without a handshake, the peer takes part before it has sent anything.
	c.hand(conn)
}

// source is the address to which allow-lists, limits and claims apply.
func (c *connection) source() netip.Addr { return c.peer.Addr().WithZone("") }

// enter counts the connection. It returns why the connection is refused, or "". One from
// a proxy is checked by the source that the proxy announces: see enterAnnounced.
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
	return c.countSource()
}

// enterAnnounced applies the limits of a source to the one that a proxy announced, so
// that a client cannot evade them by connecting through a proxy.
func (c *connection) enterAnnounced() Reason {
	if !c.allowed() {
		return NotAllowed
	}
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	return c.countSource()
}

// countSource counts the connection for its source, or returns why there is no room. The
// caller holds Listener.mu.
func (c *connection) countSource() Reason {
	why := c.listener.sources.enter(c.source(), time.Now(), c.options)
	c.counted = why == ""
	return why
}

// uncountSource undoes countSource. The caller holds Listener.mu.
func (c *connection) uncountSource() {
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

// unmapped returns the address, with an IPv4-mapped IPv6 address as IPv4.
func unmapped(a *net.TCPAddr) netip.AddrPort {
	mapped := a.AddrPort()
	return netip.AddrPortFrom(mapped.Addr().Unmap(), mapped.Port())
}

// unmappedNetworks does the same for networks.
func unmappedNetworks(networks []netip.Prefix) []netip.Prefix {
	networks = slices.Clone(networks)
	for i, p := range networks {
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			networks[i] = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
	}
	return networks
}
