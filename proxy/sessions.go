package proxy

import (
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"switchyard/proxy/hub"
)

// A Session is one connection of a tenant, for observers. It may have ended meanwhile.
type Session struct {
	hub.Session
	session *session
}

// Sessions returns the present sessions, in no particular order.
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

// Peer returns the address of the peer, which may come from a PROXY header.
func (s Session) Peer() net.Addr { return s.session.conn.RemoteAddr() }

// Local returns the address that the peer connected to.
func (s Session) Local() net.Addr { return s.session.conn.LocalAddr() }

// Since returns when the tenant began to serve the connection.
func (s Session) Since() time.Time { return epoch.Add(time.Duration(s.session.opened)) }

// Paused reports whether the reader pauses now, for a quota or a full log.
func (s Session) Paused() bool { return s.session.input.paused.Load() }

// TLS returns the state of the connection's TLS; ok is false for plain TCP.
func (s Session) TLS() (state tls.ConnectionState, ok bool) {
	secured, ok := s.session.conn.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return state, false
	}
	return secured.ConnectionState(), true
}

// End ends the session gracefully at an operator's request: what its peer has sent is handled, and
// what is due to it is written. It does not wait for that. It returns false if the session was
// ending already.
func (s Session) End() bool {
	if s.session.reason.Load() != nil || s.session.asked.Load() != nil {
		return false
	}
	s.session.askToEnd(hub.ByOperator)
	return true
}

// identity returns the name that identifies the peer across connections: the name in its
// verified certificate, or else its address without the port.
func (s *session) identity() string {
	if state, ok := (Session{session: s}).TLS(); ok && len(state.VerifiedChains) > 0 {
		return "certificate " + state.PeerCertificates[0].Subject.String()
	}
	address := s.conn.RemoteAddr()
	if a, ok := address.(*net.TCPAddr); ok {
		return a.IP.String()
	}
	return address.String()
}

// tickGrace is how late a tick may be before it counts as stuck.
const tickGrace = 5 * time.Second

// Probe checks that the tenant works: that its loop reads, that a PDU passes through its
// hub, and that its tick continues. It blocks for as long as a routed PDU would.
func (t *Tenant) Probe() error {
	t.mu.Lock()
	loop := t.loop
	t.mu.Unlock()
	loop.awaitProgress()
	if err := t.hub.Probe(heartbeat); err != nil {
		return err
	}
	if late := time.Duration(clock() - t.lastTick.Load()); late > tickInterval+tickGrace {
		return fmt.Errorf("what it does every second was last done %v ago", late.Round(time.Second))
	}
	return nil
}
