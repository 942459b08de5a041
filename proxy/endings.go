package proxy

import (
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"switchyard/proxy/hub"
)

// keptEnds is how many ended sessions a tenant remembers. The log may lack some of them, because it
// suppresses lines when many peers leave at once.
const keptEnds = 100

// An EndedSession is a session that has ended, with its counts at the end.
type EndedSession struct {
	hub.Session
	Peer     net.Addr
	Local    net.Addr // that the peer connected to
	Identity string   // the name in the peer's verified certificate, or its address
	Since    time.Time
	Until    time.Time
	Reason   hub.Reason
	Error    string // what the peer did wrong, or what the network did; "" if there is nothing to say
}

// Warns reports whether the log has the end as a warning: the peer, or the path to it, is at fault.
func (e EndedSession) Warns() bool { return warns(e.Reason) }

// An endings remembers the sessions of a tenant that ended last. The zero endings is ready.
type endings struct {
	mu   sync.Mutex     // guards what follows
	last []EndedSession // at most keptEnds, the latest last
}

// add remembers the end of a session, in the place of the one that is longest ago if there are keptEnds.
func (e *endings) add(ended EndedSession) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last = append(e.last, ended)
	e.last = e.last[max(0, len(e.last)-keptEnds):]
}

// Ended returns the sessions that ended last, the latest first: at most keptEnds since the
// tenant began.
func (t *Tenant) Ended() []EndedSession {
	e := &t.ended
	e.mu.Lock()
	defer e.mu.Unlock()
	latest := slices.Clone(e.last)
	slices.Reverse(latest)
	return latest
}

// endOf describes the end of a session with the given last counts.
func (s *session) endOf(last hub.Session, why hub.Reason) EndedSession {
	e := EndedSession{Session: last, Peer: s.conn.RemoteAddr(), Local: s.conn.LocalAddr(), Identity: s.identity(),
		Since: epoch.Add(time.Duration(s.opened)), Until: time.Now(), Reason: why}
	if cause := s.causeOf(why); cause != nil {
		e.Error = cause.Error()
	}
	return e
}

// causeOf returns the error that explains a reason; nil if the reason says all.
func (s *session) causeOf(why hub.Reason) error {
	cause := s.input.cause
	var foreign *foreignError
	switch {
	case (why == hub.BadLength || why == hub.PeerReset) && !errors.Is(cause, net.ErrClosed):
		return cause
	case errors.As(cause, &foreign) && why == foreign.reason:
		return cause
	}
	return nil
}
