package admission

import (
	"errors"
	"net"

	"switchyard/proxy"
	"switchyard/proxy/tenant"
)

// hand hands the connection to the tenant that claims it. The tenant reads and writes
// conn.
func (c *connection) hand(conn net.Conn) {
	claimed, err := c.options.Claims.Tenant(tenant.Arrival{Source: c.source(), ServerName: c.serverName, Identities: c.identities, Issuers: c.issuers})
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
	// Counted before Serve, since the connection may have ended when Serve returns.
	c.admitted.conn = conn
	c.countOpen(+1)
	if err := server.Serve(conn, c.ended); err != nil {
		c.countOpen(-1)
		c.refuse(reasonOf(err), err)
	}
}

// countOpen moves the connection from the pending to the served count; -1 moves it back.
func (c *connection) countOpen(n int) {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Handshaking -= n
	l.counts.Open += n
	if n > 0 {
		l.open[c] = struct{}{}
	} else {
		delete(l.open, c)
	}
}

// reasonOf returns the reason for an error of Claims.Tenant or of Server.Serve.
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

// ended is called by the tenant when the connection is over.
func (c *connection) ended(abandoned bool) {
	l := c.listener
	l.mu.Lock()
	l.counts.Open--
	delete(l.open, c)
	if abandoned {
		l.counts.Refused[Abandoned]++
	} else {
		l.counts.Ended++
	}
	c.uncountSource()
	l.mu.Unlock()
	if abandoned {
		c.logRefusal(Abandoned, nil)
	}
}
