package admission

import (
	"crypto/x509"
	"maps"
	"net"
	"slices"
	"time"

	"switchyard/proxy/hub"
)

// recheckEvery is how often open connections are checked again. Tests shorten it.
var recheckEvery = time.Second

// endsPerCheck is how many connections a check may end, so that peers that reconnect
// immediately do not all do so at once.
const endsPerCheck = 50

// An admitted is an open connection.
type admitted struct {
	conn   net.Conn              // the connection that the tenant serves
	chains [][]*x509.Certificate // verified chains of the client's certificate; nil if it sent none
	ending bool                  // owned by recheckLoop
}

// recheckLoop ends open connections that would no longer be accepted, as long as the
// options request it, until the listener is closed.
func (l *Listener) recheckLoop() {
	ticker := time.NewTicker(recheckEvery)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			if l.takes(l.rechecking) {
				l.recheck(now)
				l.rechecking <- struct{}{}
			}
		case <-l.closing:
			return
		}
	}
}

// recheck ends some of the connections that the options in force would not accept. It asks their
// tenants without the lock, as no lock of a tenant is taken while that is held. What is left is found by
// the next check.
func (l *Listener) recheck(now time.Time) {
	o := l.options.Load()
	if !o.Recheck {
		return
	}
	l.mu.Lock()
	open := slices.Collect(maps.Keys(l.open))
	l.mu.Unlock()
	ended := 0
	for _, c := range open {
		why := c.withdrawn(o, now)
		if why == "" || c.admitted.ending {
			continue
		}
		if server := l.find(c.claimed); server != nil && server.End(c.admitted.conn, why) {
			c.admitted.ending = true
			ended++
		}
		if ended == endsPerCheck {
			return
		}
	}
}

// withdrawn returns why an open connection would not be accepted by these options, or "".
func (c *connection) withdrawn(o *Options, now time.Time) hub.Reason {
	switch {
	case len(o.Allow) > 0 && !within(o.Allow, c.source()):
		return hub.NotAllowed
	case o.Withdrawn != nil && len(c.admitted.chains) > 0:
		return o.Withdrawn(c.admitted.chains, now)
	}
	return ""
}
