package proxy

import (
	"bytes"
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// A msg_server notices the end of its session although it comes directly behind data,
// and gets that data, however the session ends.
func TestMsgServerNoticesTheEnd(t *testing.T) {
	t.Parallel()
	due := message(everyone, 1, "the last one")
	for name, end := range map[string]func(*Tenant, *msgServer){
		"drain": func(served *Tenant, m *msgServer) {
			m.say(due)
			served.Drain(context.Background(), 0)
		},
		"the policy closes": func(_ *Tenant, m *msgServer) { m.say(slices.Concat(due, message(goAway, 0, ""))) },
		"bad length":        func(_ *Tenant, m *msgServer) { m.say(slices.Concat(due, make([]byte, pdu.HeaderLen))) },
		"closed by the hub": func(served *Tenant, m *msgServer) {
			m.say(due)
			s := (*served.sessions.Load())[0]
			eventually(t, "its kernel has it", func() bool {
				left, known := unacknowledged(s.conn)
				return known && left == 0 && served.Hub().Counts().Delivered > 1
			})
			s.Close(hub.IdleTimeout)
		},
	} {
		t.Run(name, func(t *testing.T) {
			served, addr, _ := serve(t, patient(testLimits()))
			var heard [][]byte
			m := dialMsgServer(t, addr, func(p []byte) { heard = append(heard, bytes.Clone(p)) })
			end(served, m)
			eventually(t, "the hub ends the session", func() bool { return len(*served.sessions.Load()) == 0 })
			eventually(t, "the msg_server notices it", func() bool { m.poll(0); return m.ended })
			if len(heard) != 1 || !bytes.Equal(heard[0], due) {
				t.Errorf("it got %q, want what was due before the end", heard)
			}
			hubtest.Conserved(t, served.Hub())
		})
	}
}

// A talker is a msg_server with two hubs. It always waits for one PDU of its own, which
// the hub sends back to all, and then sends the next one.
type talker struct {
	number byte
	links  [2]*msgServer
	at     int    // the link it speaks over
	sent   uint16 // PDUs
	said   [2]int // over each link
	heard  [2]int
	own    [2]int // of those, its own
	twice  int
	seen   map[string]bool
}

// run talks until it has heard itself that many times over the second link.
func (k *talker) run(enough int) {
	deadline := time.Now().Add(generous)
	for k.talk(); k.own[1] < enough; {
		if time.Now().After(deadline) {
			k.links[0].t.Errorf("msg_server %d still waits, over link %d", k.number, k.at)
			return
		}
		for _, m := range k.links {
			m.poll(1)
		}
		if k.at == 0 && k.links[0].ended {
			k.at = 1
			k.talk()
		}
	}
}

func (k *talker) talk() {
	k.sent++
	k.said[k.at]++
	k.links[k.at].say(message(everyone, k.sent, string(rune('a'+k.number))))
}

func (k *talker) hear(link int, p []byte) {
	h := pdu.ParseHeader(p)
	if h.Command != everyone {
		return
	}
	k.heard[link]++
	if key := string(p); k.seen[key] {
		k.twice++
	} else {
		k.seen[key] = true
	}
	if p[pdu.HeaderLen] == 'a'+k.number {
		k.own[link]++
		if h.Seq == k.sent && k.at == link {
			k.talk()
		}
	}
}

// Two hubs and msg_servers that talk all the time: one hub stops, and every msg_server
// goes over to the other at once. All that the first hub has taken reaches everybody,
// once. What is lost is what was on its way at that moment: here at most one PDU of each
// msg_server.
func TestStopWithoutAGap(t *testing.T) {
	t.Parallel()
	const talkers, enough = 3, 50
	first, firstAddr, lines := serve(t, patient(testLimits()))
	second, secondAddr, _ := serve(t, patient(testLimits()))
	var all []*talker
	for i := range talkers {
		k := &talker{number: byte(i), seen: make(map[string]bool)}
		for link, addr := range []string{firstAddr, secondAddr} {
			k.links[link] = dialMsgServer(t, addr, func(p []byte) { k.hear(link, p) })
		}
		all = append(all, k)
	}
	asked := first.Hub().Counts().Received
	var talking sync.WaitGroup
	for _, k := range all {
		talking.Go(func() { k.run(enough) })
	}
	eventually(t, "all talk", func() bool { return first.Hub().Counts().Received > asked+talkers*enough })
	if err := first.Drain(context.Background(), 0); err != nil {
		t.Fatal(err)
	}
	talking.Wait()
	hubtest.Conserved(t, first.Hub())
	hubtest.Conserved(t, second.Hub())
	c, said := first.Hub().Counts(), 0
	late := int(c.Dropped[hub.SessionEnded])
	routed := int(c.Received-asked) - late
	for i, k := range all {
		said += k.said[0]
		if k.heard[0] != routed || k.twice > 0 {
			t.Errorf("msg_server %d heard %d of %d PDUs, and %d twice", i, k.heard[0], routed, k.twice)
		}
		if lost := k.said[0] - k.own[0]; lost > 1 {
			t.Errorf("msg_server %d lost %d PDUs", i, lost)
		}
	}
	if said-routed > talkers || c.Due != c.Delivered {
		t.Errorf("%d said and %d routed: %+v", said, routed, c)
	}
	if late > 0 && !strings.Contains(lines.String(), "not_routed=") {
		t.Errorf("%d PDUs came too late, and no line says so:\n%s", late, lines)
	}
}

// A peer that talks all the time does not hold up a drain for as long as one that does
// not finish a PDU, nor for as long as one that is silent after a FIN.
func TestDrainDoesNotWaitForATalker(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"ends by reset": func(c net.Conn) net.Conn { return c },
		"ends by FIN":   func(c net.Conn) net.Conn { return struct{ *net.TCPConn }{c.(*net.TCPConn)} },
	} {
		t.Run(name, func(t *testing.T) {
			for try := 1; drainOfATalker(t, wrap) >= stopTime; try++ { // a busy machine may be slow once
				if try == 20 {
					t.Fatal("every drain took as long as the longest")
				}
			}
		})
	}
}

// drainOfATalker returns how long a drain takes whose only peer talks until it cannot.
func drainOfATalker(t *testing.T, wrap func(net.Conn) net.Conn) time.Duration {
	served, stop := pipeTenant(testLimits())
	defer stop()
	peer, far := loopback(t)
	defer peer.Close()
	join(served, wrap(far))
	var talking sync.WaitGroup
	defer talking.Wait()
	talking.Go(func() {
		for m := message(others, 1, "all the time"); ; time.Sleep(time.Millisecond) {
			if _, err := peer.Write(m); err != nil {
				return
			}
		}
	})
	eventually(t, "it talks", func() bool { return served.Hub().Counts().Received > 10 })
	start := time.Now()
	served.Drain(context.Background(), 0)
	return time.Since(start)
}

// A lateConn holds up its reader before the next read, for each element of hold, until proceed is closed.
type lateConn struct {
	*net.TCPConn
	hold, proceed chan struct{}
}

func (c lateConn) Read(p []byte) (int, error) {
	select {
	case <-c.hold:
		<-c.proceed
	default:
	}
	return c.TCPConn.Read(p)
}

// A drain reads what has arrived although the deadline of the read was over before the reader looked,
// as on a busy machine.
func TestDrainReadsLate(t *testing.T) {
	t.Parallel()
	late := make(chan lateConn, 2)
	l := startLine(&line{t: t, limits: patient(testLimits()), wrap: func(conn *net.TCPConn) net.Conn {
		c := lateConn{conn, make(chan struct{}, 1), make(chan struct{})}
		late <- c
		return c
	}})
	sender, sent := dial(t, l.addr), <-late
	receiver := dial(t, l.addr)
	sent.hold <- struct{}{}
	drained := make(chan error)
	go func() { drained <- l.now.Drain(t.Context(), 0) }()
	eventually(t, "the reader is held up", func() bool { return len(sent.hold) == 0 })
	said := message(others, 1, "in time")
	sender.say(said)
	eventually(t, "it has arrived", func() bool { n, _ := unread(sent); return n == len(said) })
	<-time.After(2 * quietTime)
	close(sent.proceed)
	receiver.expect(said)
	receiver.Close() // else the hub waits for it to notice the end
	sender.Close()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}
