//go:build full

package main

import (
	"syscall"
	"testing"
)

// Three independent hubs to which all msg_servers are connected, each msg_server with another
// one as its first entry: every hub carries the messages of one msg_server, every hub knows all
// users and notifies all msg_servers, and when a hub is killed, only the msg_server whose messages
// it carried goes over to another one.
func TestIndependentHubs(t *testing.T) {
	t.Parallel()
	a, b, c := &route{name: "a"}, &route{name: "b"}, &route{name: "c"}
	hubs := []*route{a, b, c}
	for _, hub := range hubs {
		hub.serve(start(t, t.TempDir()))
	}
	servers := []*msgServer{startMsgServer(t, "A", a, b, c), startMsgServer(t, "B", b, c, a), startMsgServer(t, "C", c, a, b)}
	await(t, "links to all hubs", servers, func(m *msgServer) bool { return len(m.links) == len(hubs) })
	settle(t, servers, hubs...)
	for _, m := range servers {
		m.talk()
	}
	await(t, "messages", servers, func(m *msgServer) bool { return len(m.sent) > 50 && m.sendsOver(m.routes[0]) })
	checkPresence(t, servers, hubs...)
	checkAnnounced(t, servers, hubs...)

	// One msg_server loses the hub that carries its messages.
	late(servers, b)
	settle(t, servers, b)
	b.process.signal(syscall.SIGKILL)
	b.gone()
	await(t, "going over to another hub", servers, func(m *msgServer) bool {
		first := m.routes[0]
		if first == b {
			first = m.routes[1]
		}
		return m.links[b] == nil && m.sendsOver(first)
	})
	checkPresence(t, servers, a, c)
	checkAnnounced(t, servers, a, c)

	// The hub that returns is the youngest for everybody. It knows everyone and carries nothing.
	b.serve(start(t, t.TempDir()))
	await(t, "links to all hubs", servers, func(m *msgServer) bool { return len(m.links) == len(hubs) && !m.sendsOver(b) })
	settle(t, servers, hubs...)
	checkPresence(t, servers, hubs...)
	for _, m := range servers {
		m.quiet()
	}
	settle(t, servers, a, c)
	checkReceived(t, servers)
	for _, m := range servers {
		over := make(map[*route]bool)
		for _, s := range m.sent {
			over[s.route] = true
		}
		if m.routes[0] != b && len(over) != 1 || m.routes[0] == b && (!over[b] || !over[c]) {
			t.Errorf("%s sent over %d hubs", m.name, len(over))
		}
	}
}
