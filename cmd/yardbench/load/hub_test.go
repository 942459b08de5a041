//go:build linux

package load

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"switchyard/cmd/yardbench/message"
)

// A testHub relays what each connection sends to all others, with the faults that a test
// asks for.
type testHub struct {
	protocol message.Protocol
	listener net.Listener
	serving  sync.WaitGroup

	// deliver is called for each copy that is due, in order, and returns what the
	// receiver gets instead. It is not called for probes. It may use hub's fields, and
	// is static.
	deliver func(to *hubPeer, n int, p []byte) [][]byte
	// echo has senders get back what they send. Static.
	echo bool

	mu       sync.Mutex // guards the rest, and the fields of peers below it
	peers    map[*hubPeer]bool
	next     int
	seen     map[uint32]int // messages received, by sender
	ended    int            // connections whose input ended without an error
	accepted map[string]int // connections, by the address that they were made to
}

// A hubPeer is one connection of a testHub.
type hubPeer struct {
	number int // in the order of accepting
	conn   net.Conn

	// Guarded by testHub.mu.
	due     int // copies that were due so far
	queue   []byte
	most    int // bytes that waited at once
	closing bool
	used    map[string]bool // NATS: the operations it has used
	more    *sync.Cond
}

// startHub serves until the test ends.
func startHub(t *testing.T, h *testHub, config *tls.Config) *testHub {
	t.Helper()
	var err error
	if h.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if config != nil {
		h.listener = tls.NewListener(h.listener, config)
	}
	h.peers, h.seen, h.accepted = map[*hubPeer]bool{}, map[uint32]int{}, map[string]int{}
	h.serving.Go(func() { h.accept(h.listener) })
	t.Cleanup(h.stop)
	return h
}

func (h *testHub) address() string { return h.listener.Addr().String() }

func (h *testHub) stop() {
	h.listener.Close()
	h.mu.Lock()
	for p := range h.peers {
		p.close()
	}
	h.mu.Unlock()
	h.serving.Wait()
}

// received returns how many messages the hub has received.
func (h *testHub) received() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, seen := range h.seen {
		n += seen
	}
	return n
}

func (h *testHub) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if c, ok := conn.(*net.TCPConn); ok {
			c.SetWriteBuffer(64 << 10) // what is not read waits here, and not in the kernel
		}
		h.mu.Lock()
		p := &hubPeer{number: h.next, conn: conn, used: map[string]bool{}, more: sync.NewCond(&h.mu)}
		h.next++
		h.peers[p] = true
		h.accepted[l.Addr().String()]++
		if h.protocol == message.NATS {
			p.put([]byte("INFO {\"server_id\":\"test\"}\r\nPING\r\n"))
		}
		h.mu.Unlock()
		h.serving.Go(func() { h.read(p) })
		h.serving.Go(func() { h.write(p) })
	}
}

// read relays what a peer sends until it ends.
func (h *testHub) read(p *hubPeer) {
	r := bufio.NewReaderSize(p.conn, 64<<10)
	var err error
	for err == nil {
		if h.protocol == message.NATS {
			err = h.readNATS(p, r)
		} else {
			err = h.readPDU(p, r)
		}
	}
	h.mu.Lock()
	if err == io.EOF {
		h.ended++
	}
	delete(h.peers, p)
	p.closing = true
	p.more.Signal()
	h.mu.Unlock()
}

func (h *testHub) readPDU(p *hubPeer, r *bufio.Reader) error {
	head, err := r.Peek(4)
	if err != nil {
		return err
	}
	b := make([]byte, binary.BigEndian.Uint32(head))
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	h.relay(p, b)
	return nil
}

func (h *testHub) readNATS(p *hubPeer, r *bufio.Reader) error {
	line, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch word {
	case "CONNECT", "SUB", "PONG":
		h.mu.Lock()
		defer h.mu.Unlock()
		p.used[word] = true
		return nil
	case "PUB":
		var subject string
		var n int
		if _, err := fmt.Sscan(rest, &subject, &n); err != nil {
			return err
		}
		b := make([]byte, n+2)
		if _, err := io.ReadFull(r, b); err != nil {
			return err
		}
		h.relay(p, b[:n])
		return nil
	}
	return fmt.Errorf("unknown operation %q", line)
}

// relay gives a PDU to all others.
func (h *testHub) relay(from *hubPeer, b []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sender, ok := senderOf(b)
	if ok {
		h.seen[sender]++
	}
	for p := range h.peers {
		if p == from && !h.echo || h.protocol == message.NATS && !(p.used["CONNECT"] && p.used["SUB"] && p.used["PONG"]) {
			continue
		}
		copies := [][]byte{b}
		if ok && h.deliver != nil {
			copies = h.deliver(p, p.due, b)
		}
		if ok {
			p.due++
		}
		for _, c := range copies {
			if h.protocol == message.NATS {
				p.put(fmt.Appendf(nil, "MSG hub 1 %d\r\n%s\r\n", len(c), c))
			} else {
				p.put(c)
			}
		}
	}
}

// senderOf returns the sender of a message. It returns false for a probe.
func senderOf(b []byte) (uint32, bool) {
	if len(b) < message.MinSize {
		return 0, false
	}
	n := binary.BigEndian.Uint32(b[message.KeyOffset:])
	return n, n != message.Probe
}

// put queues bytes. The hub's lock is held.
func (p *hubPeer) put(b []byte) {
	p.queue = append(p.queue, b...)
	p.most = max(p.most, len(p.queue))
	p.more.Signal()
}

// close ends a peer at once. The hub's lock is held.
func (p *hubPeer) close() {
	p.closing = true
	p.queue = nil
	p.more.Signal()
	p.conn.Close()
}

// write writes what is queued until the peer ends.
func (h *testHub) write(p *hubPeer) {
	defer p.conn.Close()
	for {
		h.mu.Lock()
		for len(p.queue) == 0 && !p.closing {
			p.more.Wait()
		}
		b := p.queue
		p.queue = nil
		h.mu.Unlock()
		if len(b) == 0 {
			return
		}
		if _, err := p.conn.Write(b); err != nil {
			return
		}
	}
}
