package admin

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	maxConnections = 64 // over TCP, and as many over the socket
	maxOfClient    = 32 // of those, of one address or of one process at the socket
	// healthConnections is how many more may be open beyond these limits. They may ask about health
	// only, so that clients that keep all other connections busy do not make health checks fail.
	healthConnections = 8
)

// A connLimiter bounds the connections that are open at once over TCP or over the socket. Connections
// are not refused while there are some that wait for a request: the one that has waited the
// longest is closed instead, so that a client that leaks connections loses its own.
//
//	a client's 33rd  ──▶ its longest waiting one is closed
//	the 65th         ──▶ the longest waiting one of the client with the most is closed
//	none of them waits ▶ the connection is one of the healthConnections
type connLimiter struct {
	mu   sync.Mutex // guards the rest, and the fields of each openConn
	open map[net.Conn]*openConn
}

// An openConn is an admitted connection that has not ended.
type openConn struct {
	conn    net.Conn
	client  string
	waiting time.Time // since when a request is waited for; zero while one is answered
	health  bool      // the connection may ask about health only
	closed  bool
}

// admit counts a connection among the open ones. If there is no place for it, a waiting one gives way,
// as above. If none waits, conn may ask about health only, and if even those places are taken, admit
// closes it and returns nil. For a line in the log, closed is the client that has used up its places, ""
// if there was room, and had is how many connections it had.
func (l *connLimiter) admit(conn net.Conn, client string) (admitted *openConn, closed string, had int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts, health := l.count()
	admitted = &openConn{conn: conn, client: client, waiting: time.Now()}
	of := "" // whose connection is to be closed
	switch {
	case counts[client] >= maxOfClient:
		of = client
	case len(l.open)-health >= maxConnections:
		of = most(counts)
	}
	if of != "" {
		closed, had = of, counts[of]
		if !l.closeLongest(func(x *openConn) bool { return x.client == of && !x.health }) {
			admitted.health = true
			if health >= healthConnections && !l.closeLongest(func(x *openConn) bool { return x.health }) {
				closeNow(conn)
				return nil, closed, had
			}
			closed, had = client, counts[client]
		}
	}
	if l.open == nil {
		l.open = make(map[net.Conn]*openConn)
	}
	l.open[conn] = admitted
	return admitted, closed, had
}

// count returns how many connections each client has, and how many are for health only and not
// counted for any client.
func (l *connLimiter) count() (counts map[string]int, health int) {
	counts = make(map[string]int)
	for _, x := range l.open {
		if x.health {
			health++
		} else {
			counts[x.client]++
		}
	}
	return counts, health
}

// most returns the client that has most connections; any of them if several have as many.
func most(counts map[string]int) (client string) {
	for c, n := range counts {
		if client == "" || n > counts[client] {
			client = c
		}
	}
	return client
}

// closeLongest closes the longest waiting connection of those. It returns false if none waits.
func (l *connLimiter) closeLongest(those func(*openConn) bool) bool {
	var longest *openConn
	for _, x := range l.open {
		if those(x) && !x.waiting.IsZero() && (longest == nil || x.waiting.Before(longest.waiting)) {
			longest = x
		}
	}
	if longest == nil {
		return false
	}
	l.releaseLocked(longest)
	closeNow(longest.conn)
	return true
}

// closeNow closes a connection without TLS's closing message, which would wait up to 5 s for a client
// that takes nothing, while the limiter is locked.
func closeNow(conn net.Conn) {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	conn.Close()
}

func (l *connLimiter) releaseLocked(x *openConn) {
	x.closed = true
	delete(l.open, x.conn)
}

// follow is called by net/http for every change of a connection's state. A connection waits for a request
// from when it is idle on, and still while it is active but has not sent the whole header of a request:
// answer ends the wait.
func (l *connLimiter) follow(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateActive, http.StateIdle: // active from a request's first byte on
		l.wait(conn)
	case http.StateClosed, http.StateHijacked:
		l.release(conn)
	}
}

// wait records that the next request of the connection is waited for.
func (l *connLimiter) wait(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if x := l.open[conn]; x != nil {
		x.waiting = time.Now()
	}
}

// answer records that a request is answered. It returns false if the connection was closed for
// another one.
func (l *connLimiter) answer(x *openConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	x.waiting = time.Time{}
	return !x.closed
}

// release makes room for others when a connection has ended.
func (l *connLimiter) release(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if x := l.open[conn]; x != nil {
		l.releaseLocked(x)
	}
}
