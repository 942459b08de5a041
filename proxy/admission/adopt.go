package admission

import (
	"maps"
	"net"
	"net/netip"
)

// A State is what a listener has counted, but for the connections that move to another process. It
// can be encoded as JSON.
type State struct {
	Accepted, Ended uint64
	Refused         map[Reason]uint64
}

// A Record is what a listener knows of a connection that moves to another process. It can be
// encoded as JSON.
type Record struct {
	Peer    netip.AddrPort // of the socket, or that a proxy announced
	Proxied bool           // the connection began with a PROXY header
	Counted bool           // Peer counts for the limits of its source
	Tenant  string         // that serves it
}

// Records returns the records of all open connections but those with TLS. The keys are what the
// tenants were handed.
func (l *Listener) Records() map[net.Conn]Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	records := make(map[net.Conn]Record, len(l.open))
	for c := range l.open {
		if _, isTLS := c.admitted.conn.(*tlsConn); !isTLS {
			records[c.admitted.conn] = Record{Peer: c.peer, Proxied: c.proxied, Counted: c.counted, Tenant: c.claimed}
		}
	}
	return records
}

// State returns the counts for a listener that continues this one, and adopts that many
// connections. For it, handshakes in progress were refused and all other connections have ended.
func (l *Listener) State(adopted int) State {
	c := l.Counts()
	if c.Handshaking > 0 {
		c.Refused[Closing] += uint64(c.Handshaking)
	}
	return State{
		Accepted: c.Accepted - uint64(adopted),
		Ended:    c.Ended + uint64(c.Open-adopted),
		Refused:  c.Refused,
	}
}

// counts returns the counts to begin with.
func (s State) counts() Counts {
	c := Counts{Accepted: s.Accepted, Ended: s.Ended, Refused: maps.Clone(s.Refused)}
	if c.Refused == nil {
		c.Refused = make(map[Reason]uint64)
	}
	return c
}

// Adopt continues a connection that another process has accepted. It returns what a tenant has to
// be handed, and the function to call once when the connection is over. The connection counts for
// all limits but the rate, even if there are more than may be.
func (l *Listener) Adopt(conn *net.TCPConn, r Record) (forTenant net.Conn, ended func(abandoned bool)) {
	c := &connection{listener: l, options: l.options.Load(), conn: conn, peer: r.Peer, proxied: r.Proxied, claimed: r.Tenant}
	tune(conn, c.options)
	c.admitted.conn = adopted(conn, r)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Accepted++
	l.counts.Open++
	l.open[c] = struct{}{}
	if c.counted = r.Counted; c.counted {
		l.sources.adopt(c.source())
	}
	return c.admitted.conn, c.ended
}

// RecordWithoutListener returns the record of a connection whose listener was removed. conn is what
// its tenant was handed; it has no TLS.
func RecordWithoutListener(conn net.Conn) Record {
	_, proxied := conn.(*proxiedConn)
	return Record{Peer: unmapped(conn.RemoteAddr().(*net.TCPAddr)), Proxied: proxied}
}

// AdoptWithoutListener is Adopt for a connection whose listener was removed. No limit counts it, and its
// socket keeps the options that it has.
func AdoptWithoutListener(conn *net.TCPConn, r Record) (forTenant net.Conn) {
	conn.SetKeepAliveConfig(keepAlive) // making a connection of the descriptor has changed it
	return adopted(conn, r)
}

// adopted returns what a tenant is handed of an adopted connection.
func adopted(conn *net.TCPConn, r Record) net.Conn {
	// A socket whose peer has reset the connection no longer knows the address.
	if r.Proxied || conn.RemoteAddr() == nil {
		return &proxiedConn{TCPConn: conn, peer: r.Peer}
	}
	return conn
}
