//go:build full || race

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
)

// A route is one entry of the route servers in a msg_server's configuration.
type route struct {
	name    string
	process *process // owned by the test's goroutine
	address atomic.Pointer[string]
}

func (r *route) serve(p *process) {
	address := p.address
	r.process = p
	r.address.Store(&address)
}

// gone records that no process listens at the address.
func (r *route) gone() { r.address.Store(nil) }

// A link is a connection to a route server.
type link struct {
	net.Conn
	route *route
	age   int // lower is older
}

// A msgServer behaves as docs/migration.md describes msg_servers. It sends numbered
// messages until quiet, and logs a user in and out. It does not wait seconds as a real one
// does: it dials a missing link again at once, and its messages replace heartbeats.
type msgServer struct {
	t       *testing.T
	name    string
	routes  []*route
	first   uint32 // of its users; the next nine are its as well
	ctx     context.Context
	quiet   context.CancelFunc // ends timerLoop
	running sync.WaitGroup

	mu       sync.Mutex // guards what follows; a real one has one thread
	talks    bool
	links    map[*route]*link
	made     int // links so far
	master   *link
	users    map[uint32]bool
	ending   *route // that is about to end: what is sent over it may be lost
	sent     []sentMessage
	received []receivedPDU
	seq      uint16 // of requests
}

type sentMessage struct {
	route *route
	late  bool
}

type receivedPDU struct {
	route *route
	pdu   []byte
}

func startMsgServer(t *testing.T, name string, routes ...*route) *msgServer {
	m := &msgServer{t: t, name: name, routes: routes, first: uint32(name[0]) * 100, links: make(map[*route]*link), users: make(map[uint32]bool)}
	m.ctx, m.quiet = context.WithCancel(context.Background())
	for i := range uint32(10) {
		m.users[m.first+i] = true
	}
	m.running.Go(m.timerLoop)
	t.Cleanup(func() {
		m.quiet()
		m.mu.Lock()
		for _, l := range m.links {
			l.Close()
		}
		m.mu.Unlock()
		m.running.Wait()
	})
	return m
}

// timerLoop dials missing links, sends messages, and logs a user in and out.
func (m *msgServer) timerLoop() {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-m.ctx.Done():
			return
		case <-tick.C:
		}
		for _, r := range m.routes {
			m.connect(r)
		}
		m.say()
		if n%10 == 0 {
			m.update(m.first+50, n%20 == 0)
		}
	}
}

// connect dials the link if it is missing and a process listens. It announces its users
// over each new link, and sends its role over the oldest one.
func (m *msgServer) connect(r *route) {
	m.mu.Lock()
	defer m.mu.Unlock()
	address := r.address.Load()
	if address == nil || m.links[r] != nil || m.ctx.Err() != nil { // the end of the test closes what is in links, once
		return
	}
	conn, err := net.Dial("tcp", *address)
	if err != nil {
		return
	}
	m.made++
	l := &link{conn, r, m.made}
	m.links[r] = l
	if m.master == nil {
		m.chooseMaster()
	}
	var all []*pb.ServerUserStat
	for user := range m.users {
		all = append(all, pdutest.Stat(user, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_WINDOWS))
	}
	l.Write(pdutest.Online(all...))
	m.running.Go(func() { m.readLoop(l) })
}

// chooseMaster makes the oldest link the one for messages. Called under mu.
func (m *msgServer) chooseMaster() {
	m.master = nil
	for _, l := range m.links {
		if m.master == nil || l.age < m.master.age {
			m.master = l
		}
	}
	if m.master != nil {
		m.master.Write(pdutest.RoleSet(true))
	}
}

// readLoop records what is received over the link, until it ends.
func (m *msgServer) readLoop(l *link) {
	defer l.Close()
	for r := bufio.NewReader(l); ; {
		head := make([]byte, pdu.HeaderLen)
		_, err := io.ReadFull(r, head)
		var whole []byte
		if err == nil {
			whole = append(head, make([]byte, pdu.ParseHeader(head).Length-pdu.HeaderLen)...)
			_, err = io.ReadFull(r, whole[pdu.HeaderLen:])
		}
		m.mu.Lock()
		if err == nil {
			m.received = append(m.received, receivedPDU{l.route, whole})
		} else if delete(m.links, l.route); m.master == l {
			m.chooseMaster()
		}
		m.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// message returns the n-th message of the msg_server.
func (m *msgServer) message(n int) []byte {
	return pdutest.Raw(pdu.CID_MSG_DATA, uint16(n), fmt.Appendf(nil, "%s %d", m.name, n))
}

// talk makes timerLoop send messages from now on.
func (m *msgServer) talk() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.talks = true
}

// say sends the next message, over the oldest link only. If the write fails, readLoop
// notices that the link is broken.
func (m *msgServer) say() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.master == nil || !m.talks {
		return
	}
	m.master.Write(m.message(len(m.sent)))
	m.sent = append(m.sent, sentMessage{m.master.route, m.master.route == m.ending})
}

// update reports a user, over all links.
func (m *msgServer) update(user uint32, online bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	status := pb.UserStatType_USER_STATUS_OFFLINE
	if delete(m.users, user); online {
		m.users[user], status = true, pb.UserStatType_USER_STATUS_ONLINE
	}
	for _, l := range m.links {
		l.Write(pdutest.StatusUpdate(user, uint32(status), pb.ClientType_CLIENT_TYPE_WINDOWS))
	}
}

// sendsOver reports whether messages go over that link. Called under mu, by await.
func (m *msgServer) sendsOver(r *route) bool { return m.master != nil && m.master.route == r }

// receivedOver counts the PDUs of a command that were received over a link.
func (m *msgServer) receivedOver(r *route, command pdu.CommandID) (n int) {
	return m.count(func(h receivedPDU) bool { return h.route == r && pdu.ParseHeader(h.pdu).Command == command })
}

func (m *msgServer) count(of func(receivedPDU) bool) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range m.received {
		if of(h) {
			n++
		}
	}
	return n
}

// ask requests users' status over a link, and returns the answer. When the answer is
// received, everything that was sent over the link before has been handled.
func (m *msgServer) ask(r *route) (answer []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seq++
	m.links[r].Write(pdutest.StatusRequest(m.seq, m.first, nil))
	return pdutest.StatusResponse(m.seq, m.first, nil)
}

// number returns the number of the message p, or -1 if p is not one of m's messages.
func (m *msgServer) number(p []byte) int {
	var name string
	var n int
	if pdu.ParseHeader(p).Command != pdu.CID_MSG_DATA {
		return -1
	}
	if _, err := fmt.Sscanf(string(p[pdu.HeaderLen:]), "%s %d", &name, &n); err != nil || name != m.name {
		return -1
	}
	return n
}
