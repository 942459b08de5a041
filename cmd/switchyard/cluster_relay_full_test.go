//go:build full

package main

import (
	"bufio"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func newBufferedReader(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 64<<10) }

// A relay forwards connections to an address, and is a bad network when asked to.
type relay struct {
	address, to string
	spoil       func() func(p []byte) [][]byte // for each connection, what it gets in the place of a PDU; nil: all bytes unchanged
	passed      atomic.Int64                   // bytes from the address so far
	running     sync.WaitGroup

	mu       sync.Mutex // guards what follows
	changed  sync.Cond  // on mu
	held     bool       // nothing is forwarded, and nothing is closed
	perTenth int        // bytes that are forwarded in a tenth of a second; 0: any number
	closed   bool
	conns    map[net.Conn]bool
}

// startRelay starts a relay to an address.
func startRelay(t testing.TB, to string, spoil func() func([]byte) [][]byte) *relay {
	t.Helper()
	return startRelayAt(t, "127.0.0.1", to, spoil)
}

// startRelayAt is startRelay for a relay at an address of this machine.
func startRelayAt(t testing.TB, host, to string, spoil func() func([]byte) [][]byte) *relay {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{address: l.Addr().String(), to: to, spoil: spoil, conns: make(map[net.Conn]bool)}
	r.changed.L = &r.mu
	r.running.Go(func() { r.acceptLoop(l) })
	t.Cleanup(func() {
		l.Close()
		r.set(func() {
			r.closed = true
			for c := range r.conns {
				c.Close()
			}
		})
		r.running.Wait()
	})
	return r
}

// set changes the faults.
func (r *relay) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	r.changed.Broadcast()
}

func (r *relay) acceptLoop(l net.Listener) {
	for {
		peer, err := l.Accept()
		if err != nil {
			return
		}
		r.running.Go(func() { r.serve(peer) })
	}
}

// serve forwards a connection until either side ends.
func (r *relay) serve(peer net.Conn) {
	defer peer.Close()
	if !r.pass() {
		return
	}
	server, err := net.DialTimeout("tcp", r.to, patience)
	if err != nil {
		return
	}
	defer server.Close()
	r.set(func() {
		if r.closed {
			peer.Close()
			server.Close()
		}
		r.conns[peer], r.conns[server] = true, true
	})
	defer r.set(func() { delete(r.conns, peer); delete(r.conns, server) })
	r.running.Go(func() { r.copy(server, peer, nil); server.Close() })
	if r.spoil == nil {
		r.copy(peer, server, &r.passed)
		return
	}
	in, spoil := newBufferedReader(server), r.spoil()
	for {
		p, err := readPDU(in)
		if err != nil {
			return
		}
		for _, p := range spoil(p) {
			if _, err := peer.Write(p); err != nil {
				return
			}
		}
	}
}

// pass waits while the relay is held, and reports whether it continues.
func (r *relay) pass() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.held && !r.closed {
		r.changed.Wait()
	}
	return !r.closed
}

// copy forwards bytes in one direction.
func (r *relay) copy(to, from net.Conn, passed *atomic.Int64) {
	buf := make([]byte, 64<<10)
	for {
		r.mu.Lock()
		limit := r.perTenth
		r.mu.Unlock()
		part := buf
		if limit > 0 {
			part = buf[:min(len(buf), limit)]
		}
		n, err := from.Read(part)
		if err != nil || !r.pass() {
			return
		}
		if _, err := to.Write(part[:n]); err != nil {
			return
		}
		if passed != nil {
			passed.Add(int64(n))
		}
		if limit > 0 {
			time.Sleep(time.Second / 10 * time.Duration(n) / time.Duration(limit)) // limits the rate of the relay
		}
	}
}
