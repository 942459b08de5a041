// Package demo simulates msg_servers and their users at a hub, for people who try one: they log
// in and out, write to each other, lose connections, and now and then say what no hub expects. It
// starts no hub, and checks nothing: package cmd/yardbench measures.
package demo

import (
	"context"
	"math/rand/v2"
	"net"
	"time"
)

// A fleet has one goroutine that says everything, in Run, and one for each connection, which reads
// what the hub sends:
//
//	Run ── step, every beat ──▶ due events of the mix ──▶ write ──▶ hub
//	                                                                 │
//	server.read, one for each connection  ◀── counts, discards ──────┘
//
//	demo.go      Run, and when which server says something
//	server.go    a msg_server: its connection and its users
//	mix.go       what users do, and how often
//	messages.go  the PDUs

const (
	beat        = 20 * time.Millisecond  // between two steps of a fleet
	mostAtOnce  = 100 * time.Millisecond // a fleet that was held up for longer does not make up for it
	heartbeat   = 5 * time.Second        // between two heartbeats of a server, as in TeamTalk
	reconnect   = 4 * time.Second        // until a server that lost the hub connects again, as in TeamTalk
	loseEvery   = 30 * time.Second       // a server loses its connection
	writeTime   = 10 * time.Second       // a hub that accepts nothing for this long is given up
	closingTime = 30 * time.Second       // for what the hub still has to send at the end
)

// Options say how much a fleet does. None is zero.
type Options struct {
	Servers int    // msg_servers, each with one connection
	Users   int    // of all of them together, numbered from 1; about half are online
	Rate    int    // PDUs per second of all of them together, heartbeats and announcements not counted
	Seed    uint64 // of the random choices
	Dial    func(context.Context) (net.Conn, error)
}

// Totals are what a fleet has done.
type Totals struct {
	Sent     int // PDUs
	Received int // PDUs
	Lost     int // connections, on purpose or not
}

// A fleet is the msg_servers. Run's goroutine owns it.
type fleet struct {
	Options
	random  *rand.Rand
	servers []*server
	users   []user // user n is users[n-1], and of server (n-1) mod Servers
	kicked  uint32 // the user who is logged out next; 0 if none is
	msgID   uint32
	sent    int
	lost    int
	now     time.Time // of the step
	loseAt  time.Time // of the next loss of a connection
	due     float64   // PDUs that the rate allows and that were not sent yet
}

// A user is a person with one client.
type user struct {
	online bool
	client int // index of clients
}

// Run connects the servers and lets them talk until ctx is done. Then it closes the connections
// when the hub has written what is due to them. A server that cannot connect tries again.
func Run(ctx context.Context, o Options) Totals {
	f := newFleet(o, time.Now())
	ticks := time.NewTicker(beat)
	defer ticks.Stop()
	for ctx.Err() == nil {
		f.step(ctx, time.Now())
		select {
		case <-ticks.C:
		case <-ctx.Done():
		}
	}
	return f.close()
}

// newFleet returns a fleet without connections, of which half of the users are online. The first step
// connects the servers, which announce those users.
func newFleet(o Options, now time.Time) *fleet {
	f := &fleet{Options: o, random: rand.New(rand.NewPCG(o.Seed, 0)), users: make([]user, o.Users), now: now, loseAt: now.Add(loseEvery)}
	for i := range f.users {
		f.users[i] = user{online: f.random.IntN(2) == 0, client: f.random.IntN(len(clients))}
	}
	for range o.Servers {
		f.servers = append(f.servers, new(server))
	}
	return f
}

// step does what is due: connections, heartbeats, a loss, and as many events as fit into the time
// that has passed since the step before.
func (f *fleet) step(ctx context.Context, now time.Time) {
	passed := min(now.Sub(f.now), mostAtOnce)
	f.now = now
	for i, s := range f.servers {
		f.tend(ctx, i, s)
	}
	if !now.Before(f.loseAt) {
		f.loseAt = now.Add(loseEvery)
		f.lose(f.servers[f.random.IntN(len(f.servers))])
	}
	for f.due += passed.Seconds() * float64(f.Rate); f.due >= 1; f.due-- {
		f.event()
	}
}

// tend notices that a server's connection has ended, connects one that has none, and sends its
// heartbeat.
func (f *fleet) tend(ctx context.Context, i int, s *server) {
	if s.hasEnded() {
		f.down(s)
	}
	if s.conn == nil && !f.now.Before(s.dialAt) {
		conn, err := f.Dial(ctx)
		if err != nil {
			s.dialAt = f.now.Add(reconnect)
			return
		}
		s.up(conn)
		s.beatAt = f.now.Add(heartbeat)
		f.say(s, roleSet(), f.onlineUsers(i))
	}
	if s.conn != nil && !f.now.Before(s.beatAt) {
		s.beatAt = f.now.Add(heartbeat)
		f.say(s, heartbeatPDU)
	}
}

// lose ends a server's connection in one of two ways that a hub must survive.
func (f *fleet) lose(s *server) {
	if s.conn == nil {
		return
	}
	half := f.chat(1)
	last := half[:len(half)-1] // the process was killed in the middle of a PDU
	if f.random.IntN(2) == 0 {
		last = tooShort() // the hub closes the connection
	}
	if f.write(s, last) {
		f.down(s)
	}
}

// down closes a server's connection; it will connect again.
func (f *fleet) down(s *server) {
	s.close()
	f.lost++
	s.dialAt = f.now.Add(reconnect)
}

// say sends PDUs from a server that is connected.
func (f *fleet) say(s *server, pdus ...[]byte) {
	for _, p := range pdus {
		if s.conn == nil || !f.write(s, p) {
			return
		}
		f.sent++
	}
}

// write reports whether the hub has accepted the bytes; otherwise the connection is closed.
func (f *fleet) write(s *server, p []byte) bool {
	s.conn.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := s.conn.Write(p); err != nil {
		f.down(s)
		return false
	}
	return true
}

// close ends all connections in order: the servers stop sending, and read what is due to them.
func (f *fleet) close() (t Totals) {
	end := time.Now().Add(closingTime)
	for _, s := range f.servers {
		if s.conn != nil {
			s.finish()
		}
	}
	for _, s := range f.servers {
		s.await(end)
		s.close()
		t.Received += s.received
	}
	t.Sent, t.Lost = f.sent, f.lost
	return t
}
