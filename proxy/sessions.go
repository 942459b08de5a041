package proxy

import (
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"switchyard/proxy/hub"
)

// A Session is one connection of a tenant, as those who look on see it. It may have
// ended meanwhile.
type Session struct {
	hub.Session
	session *session
}

// Sessions returns the sessions that there are, in no order.
func (t *Tenant) Sessions() []Session {
	counts := t.hub.Sessions(nil)
	byNumber := make(map[uint64]*session, len(counts))
	for _, s := range *t.sessions.Load() {
		byNumber[s.seat.Session()] = s
	}
	sessions := make([]Session, 0, len(counts))
	for _, c := range counts {
		if s := byNumber[c.Number]; s != nil {
			sessions = append(sessions, Session{c, s})
		}
	}
	return sessions
}

// Peer returns the address of the peer, which may be what a proxy announced.
func (s Session) Peer() net.Addr { return s.session.conn.RemoteAddr() }

// Local returns the address that the peer connected to.
func (s Session) Local() net.Addr { return s.session.conn.LocalAddr() }

// Since returns when the tenant began to serve the connection.
func (s Session) Since() time.Time { return epoch.Add(time.Duration(s.session.opened)) }

// Paused reports whether the peer is not read from now, for a quota or a full log.
func (s Session) Paused() bool { return s.session.paused.Load() }

// TLS returns what the connection's TLS agreed on; ok is false for plain TCP.
func (s Session) TLS() (state tls.ConnectionState, ok bool) {
	secured, ok := s.session.conn.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return state, false
	}
	return secured.ConnectionState(), true
}

// beatTime is how long a beat may be late before it is taken for stuck.
const beatTime = 5 * time.Second

// Probe sends a PDU through the tenant's log and back, and looks whether the tenant's
// beat goes on. It waits for locks for as long as others would.
func (t *Tenant) Probe() error {
	if err := t.hub.Probe(heartbeat); err != nil {
		return err
	}
	if late := time.Duration(clock() - t.beaten.Load()); late > beatEvery+beatTime {
		return fmt.Errorf("what it does every second was last done %v ago", late.Round(time.Second))
	}
	return nil
}
