//go:build full || race

package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"syscall"
	"testing"

	"switchyard/cmd/switchyard/dialogue"
	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
)

// The steps of docs/migration.md, there and back, with msg_servers that send without
// pause. A Switchyard that is killed stands for the original, which does not drain
// either. Meanwhile the new hub plays the dialogues recorded with the original as usual,
// each in a tenant of its own; without the tag full every fourth of them.
func TestMigration(t *testing.T) {
	t.Parallel()
	dialogues, err := dialogue.Load("dialogue/testdata")
	if err != nil {
		t.Fatal(err)
	}
	if !full {
		dialogues = everyFourth(dialogues)
	}
	old, new := &route{name: "old"}, &route{name: "new"}
	old.serve(start(t, t.TempDir()))
	servers := []*msgServer{startMsgServer(t, "A", old, new), startMsgServer(t, "B", old, new), startMsgServer(t, "C", old, new)}
	await(t, "links to the old hub", servers, func(m *msgServer) bool { return m.sendsOver(old) })
	settle(t, servers, old)
	for _, m := range servers {
		m.talk()
	}

	// The new hub starts: presence goes to both hubs, messages over the older link.
	p := configured(t, t.TempDir(), withDialogues(len(dialogues)))
	places := dialogueAddresses(p, len(dialogues))
	new.serve(p.at(`"tenant":"default"`))
	third := len(dialogues) / 3
	together(t, dialogues[:third], places, func() {
		await(t, "links to both hubs", servers, func(m *msgServer) bool { return m.links[old] != nil && m.links[new] != nil })
		settle(t, servers, old, new)
		checkPresence(t, servers, old, new)
		checkAnnounced(t, servers, old, new)
		for _, m := range servers {
			if n := m.receivedOver(new, pdu.CID_MSG_DATA); n > 0 || !m.sendsOver(old) {
				t.Errorf("%s received %d messages over the younger link", m.name, n)
			}
		}
	})

	// The old hub ends: all msg_servers continue with the new one.
	together(t, dialogues[third:2*third], places[third:], func() {
		late(servers, old)
		settle(t, servers, old)
		old.process.signal(syscall.SIGKILL)
		old.gone()
		await(t, "going over to the new hub", servers, func(m *msgServer) bool { return m.links[old] == nil && m.sendsOver(new) })
	})
	together(t, dialogues[2*third:], places[2*third:], func() {
		settle(t, servers, new)
		checkPresence(t, servers, new)
		checkAnnounced(t, servers, new)
	})

	// And back, without losing anything that was sent before the signal.
	old.serve(start(t, t.TempDir()))
	await(t, "links to both hubs", servers, func(m *msgServer) bool { return m.links[old] != nil && m.sendsOver(new) })
	settle(t, servers, old, new)
	checkPresence(t, servers, old, new)
	late(servers, new)
	p.signal(syscall.SIGTERM)
	new.gone()
	await(t, "going back to the old hub", servers, func(m *msgServer) bool { return m.links[new] == nil && m.sendsOver(old) })
	if code := p.exit(); code != exitStopped {
		t.Errorf("the new hub's exit code is %d", code)
	}
	checkCounts(t, p)
	for _, m := range servers {
		m.quiet()
	}
	settle(t, servers, old)
	checkReceived(t, servers)
}

// together plays each dialogue at its address while step runs, eight at a time: a dialogue takes some
// time of silence as a sign that the server, which answers all, is done.
func together(t *testing.T, dialogues []dialogue.Dialogue, places []string, step func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var playing sync.WaitGroup
	defer playing.Wait()
	turns := make(chan struct{}, 8)
	for i, d := range dialogues {
		playing.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			got, err := d.Play(ctx, places[i])
			if err := errors.Join(err, dialogue.Compare(d.Want, got)); err != nil {
				t.Errorf("dialogue %s: %v", d.Name, err)
			}
		})
	}
	step()
}

// await waits until so is true of all msg_servers.
func await(t *testing.T, what string, servers []*msgServer, so func(*msgServer) bool) {
	t.Helper()
	eventually(t, func() bool {
		return !slices.ContainsFunc(servers, func(m *msgServer) bool {
			m.mu.Lock()
			defer m.mu.Unlock()
			return !so(m)
		})
	}, func() string { return "no " + what })
}

// settle waits until all msg_servers have received what was sent over those links before.
func settle(t *testing.T, servers []*msgServer, routes ...*route) {
	t.Helper()
	for _, r := range routes {
		for range 2 { // until it was handled, and then until it was received
			answers := make(map[*msgServer][]byte)
			for _, m := range servers {
				answers[m] = m.ask(r)
			}
			await(t, "answer of the "+r.name+" hub", servers, func(m *msgServer) bool {
				return slices.ContainsFunc(m.received, func(h receivedPDU) bool { return h.route == r && bytes.Equal(h.pdu, answers[m]) })
			})
		}
	}
}

// late marks what is sent over that link from now on: it may be lost.
func late(servers []*msgServer, r *route) {
	for _, m := range servers {
		m.mu.Lock()
		m.ending = r
		m.mu.Unlock()
	}
}

// checkPresence checks that the hubs know all users that stay logged in.
func checkPresence(t *testing.T, servers []*msgServer, routes ...*route) {
	t.Helper()
	var ids []uint32
	var online []*pb.UserStat
	for _, m := range servers {
		for i := range uint32(10) {
			ids = append(ids, m.first+i)
			online = append(online, pdutest.UserStat(m.first+i, pb.UserStatType_USER_STATUS_ONLINE))
		}
	}
	for _, r := range routes {
		m := servers[0]
		m.mu.Lock()
		m.seq++
		m.links[r].Write(pdutest.StatusRequest(m.seq, 1, nil, ids...))
		want, from := pdutest.StatusResponse(m.seq, 1, nil, online...), len(m.received)
		m.mu.Unlock()
		var got []byte
		await(t, "answer of the "+r.name+" hub", servers[:1], func(m *msgServer) bool {
			for _, h := range m.received[from:] {
				if h.route == r && pdu.ParseHeader(h.pdu).Command == pdu.CID_BUDDY_LIST_USERS_STATUS_RESPONSE {
					got = h.pdu
				}
			}
			return got != nil
		})
		if !bytes.Equal(got, want) {
			t.Errorf("the %s hub says %s, want %s", r.name, pdutest.Dump(got), pdutest.Dump(want))
		}
	}
}

// checkAnnounced logs a user in, and checks that each hub notifies each msg_server once.
func checkAnnounced(t *testing.T, servers []*msgServer, routes ...*route) {
	t.Helper()
	m := servers[0]
	user := m.first + 60 + uint32(len(routes))
	m.update(user, true)
	settle(t, servers, routes...)
	notice := pdutest.StatusNotify(user, pb.UserStatType_USER_STATUS_ONLINE)
	for _, m := range servers {
		for _, r := range routes {
			if n := m.count(func(h receivedPDU) bool { return h.route == r && bytes.Equal(h.pdu, notice) }); n != 1 {
				t.Errorf("%s was notified of user %d %d times by the %s hub, want once", m.name, user, n, r.name)
			}
		}
		if n := m.count(func(h receivedPDU) bool { return bytes.Equal(h.pdu, notice) }); n != len(routes) {
			t.Errorf("%s was notified of user %d %d times, want once by each of %d hubs", m.name, user, n, len(routes))
		}
	}
}

// checkReceived checks that every other msg_server received every message: once, over the
// link that it was sent over, and in order for each link. Messages sent over a link that
// was about to end may be missing.
func checkReceived(t *testing.T, servers []*msgServer) {
	t.Helper()
	for _, from := range servers {
		for _, to := range servers {
			if to == from {
				continue
			}
			times, last := make([]int, len(from.sent)), make(map[*route]int)
			for _, h := range to.received {
				n := from.number(h.pdu)
				if n < 0 {
					continue
				}
				if times[n]++; from.sent[n].route != h.route || n < last[h.route] {
					t.Errorf("%s received %s's message %d over the %s link, after message %d; it was sent over the %s link", to.name, from.name, n, h.route.name, last[h.route], from.sent[n].route.name)
				}
				last[h.route] = n
			}
			over, lost := make(map[string]int), make(map[string]int)
			for n, s := range from.sent {
				over[s.route.name]++
				switch {
				case times[n] == 0 && s.late:
					lost[s.route.name]++
				case times[n] != 1:
					t.Errorf("%s received %s's message %d %d times, want once", to.name, from.name, n, times[n])
				}
			}
			t.Logf("%s received what %s sent over %v, except what was in flight when the hub ended, %v", to.name, from.name, over, lost)
		}
	}
}
