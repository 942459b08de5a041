package admin

import (
	"net"
	"sync"
	"time"
)

const (
	maxConnections = 64 // over TCP, and as many over the socket
	maxOfClient    = 32 // of those, of one address or of one process at the socket
	// healthPlaces are for connections beyond these limits. They are asked about health only,
	// so that clients that keep all other places busy do not make health checks fail.
	healthPlaces = 8
)

// places bound the connections that are open at once over TCP or over the socket. Connections
// are not refused while there are some that wait for a request: the one that has waited the
// longest is closed instead, so that a client that leaks connections loses its own.
//
//	a client's 33rd  ──▶ its longest waiting one is closed
//	the 65th         ──▶ the longest waiting one of the client with the most is closed
//	none of them waits ▶ the connection gets one of healthPlaces
type places struct {
	mu    sync.Mutex // guards the rest, and the fields of each place
	taken map[net.Conn]*place
}

// A place is that of one connection.
type place struct {
	conn    net.Conn
	client  string
	waiting time.Time // since when a request is waited for; zero while one is answered
	health  bool      // the connection may ask about health only
	closed  bool
}

// take gives a connection its place. It returns which client's connection had to be closed for
// that, "" if none, and how many connections that client had. If there is no place, it closes
// conn itself and returns nil.
func (p *places) take(conn net.Conn, client string) (taken *place, closed string, had int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts, health := p.count()
	taken = &place{conn: conn, client: client, waiting: time.Now()}
	of := "" // whose connection is to be closed
	switch {
	case counts[client] >= maxOfClient:
		of = client
	case len(p.taken)-health >= maxConnections:
		of = most(counts)
	}
	if of != "" {
		closed, had = of, counts[of]
		if !p.closeLongest(func(x *place) bool { return x.client == of && !x.health }) {
			taken.health = true
			if health >= healthPlaces && !p.closeLongest(func(x *place) bool { return x.health }) {
				conn.Close()
				return nil, closed, had
			}
			closed, had = client, counts[client]
		}
	}
	if p.taken == nil {
		p.taken = make(map[net.Conn]*place)
	}
	p.taken[conn] = taken
	return taken, closed, had
}

// count returns how many places each client has, and how many are for health only and not
// counted for any client.
func (p *places) count() (counts map[string]int, health int) {
	counts = make(map[string]int)
	for _, x := range p.taken {
		if x.health {
			health++
		} else {
			counts[x.client]++
		}
	}
	return counts, health
}

func most(counts map[string]int) (client string) {
	for c, n := range counts {
		if client == "" || n > counts[client] {
			client = c
		}
	}
	return client
}

// closeLongest closes the longest waiting connection of those. It returns false if none waits.
func (p *places) closeLongest(those func(*place) bool) bool {
	var longest *place
	for _, x := range p.taken {
		if those(x) && !x.waiting.IsZero() && (longest == nil || x.waiting.Before(longest.waiting)) {
			longest = x
		}
	}
	if longest == nil {
		return false
	}
	p.leaveLocked(longest)
	longest.conn.Close()
	return true
}

func (p *places) leaveLocked(x *place) {
	x.closed = true
	delete(p.taken, x.conn)
}

// wait records that the next request of the connection is waited for.
func (p *places) wait(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.taken[conn]; x != nil {
		x.waiting = time.Now()
	}
}

// answer records that a request is answered. It returns false if the connection was closed for
// another one.
func (p *places) answer(x *place) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	x.waiting = time.Time{}
	return !x.closed
}

// leave gives the place of a connection that has ended to others.
func (p *places) leave(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.taken[conn]; x != nil {
		p.leaveLocked(x)
	}
}

// open returns how many connections have a place.
func (p *places) open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.taken)
}
