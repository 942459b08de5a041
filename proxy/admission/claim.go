package admission

import (
	"errors"
	"net"

	"switchyard/proxy"
	"switchyard/proxy/tenant"
)

// hand gives a connection whose peer has said who it is to the tenant that claims it.
// conn is what the tenant reads and writes.
func (c *connection) hand(conn net.Conn) {
	claimed, err := c.options.Claims.Tenant(tenant.Arrival{Source: c.source(), ServerName: c.serverName, Identities: c.identities})
	if err != nil {
		c.refuse(reasonOf(err), err)
		return
	}
	c.claimed = claimed
	server := c.listener.find(claimed)
	if server == nil {
		c.refuse(NoTenant, nil)
		return
	}
	// It counts as served before it is: it may have ended when Serve returns.
	c.listener.countOpen(+1)
	if err := server.Serve(conn, c.ended); err != nil {
		c.listener.countOpen(-1)
		c.refuse(reasonOf(err), err)
	}
}

// countOpen moves connections from those on the way to those that are served.
func (l *Listener) countOpen(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Handshaking -= n
	l.counts.Open += n
}

func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, tenant.ErrUnclaimed):
		return Unclaimed
	case errors.Is(err, tenant.ErrAmbiguous):
		return Ambiguous
	case errors.Is(err, proxy.ErrFull):
		return TenantFull
	case errors.Is(err, proxy.ErrStopping):
		return TenantStopping
	default:
		return TenantRefused
	}
}

// ended is called by the tenant when it no longer serves the connection.
func (c *connection) ended() {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Open--
	l.counts.Ended++
	c.leavePlace()
}
