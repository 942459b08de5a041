package dialogue

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	dialTimeout  = 30 * time.Second
	closeTimeout = 5 * time.Second // of expect-closed
)

// A session plays one script: it holds the connections and what they have received. One
// goroutine plays, and one per connection reads. close waits for the readers.
type session struct {
	over    Servers
	readers sync.WaitGroup

	// Owned by the goroutine that plays.
	byName   map[string]*peer
	requests int  // settling requests sent
	closing  bool // a connection was closed, or is to be, since the last settling

	mu      sync.Mutex
	peers   []*peer       // in the order they were opened
	step    int           // the last one that acted on a connection
	changed chan struct{} // closed and replaced whenever a connection receives or ends
}

func newSession(over Servers) *session {
	return &session{over: over, byName: map[string]*peer{}, changed: make(chan struct{})}
}

// act performs one step.
func (s *session) act(ctx context.Context, i int, st step, quiet bool) error {
	switch st.op {
	case opSettle:
		return s.settle(ctx, quiet)
	case opWait:
		return pause(ctx, st.gap)
	case opExpectClosed:
		return s.expectClosed(ctx, s.byName[st.conn])
	}
	s.mu.Lock()
	s.step = i
	s.mu.Unlock()
	switch st.op {
	case opOpen:
		_, err := s.open(ctx, st.conn)
		return err
	case opSend:
		return s.byName[st.conn].sendStep(ctx, st)
	case opHalfClose:
		s.byName[st.conn].halfClose()
		s.closing = true
	case opClose:
		s.leave(s.byName[st.conn])
		s.closing = true
	}
	return nil
}

func (s *session) open(ctx context.Context, name string) (*peer, error) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "tcp", s.over.Addresses[len(s.peers)%len(s.over.Addresses)])
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	p := &peer{name: name, conn: conn.(*net.TCPConn)}
	s.byName[name] = p
	s.mu.Lock()
	s.peers = append(s.peers, p)
	s.mu.Unlock()
	s.readers.Go(func() { s.readLoop(p) })
	return p, nil
}

// readLoop records what a connection receives, until it ends.
func (s *session) readLoop(p *peer) {
	buf := make([]byte, 64<<10)
	for {
		n, err := p.conn.Read(buf)
		s.mu.Lock()
		p.receive(buf[:n], s.step)
		if err != nil {
			p.ended = time.Now()
		}
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// leave closes our end of a connection.
func (s *session) leave(p *peer) {
	s.mu.Lock()
	p.left = true
	s.mu.Unlock()
	p.conn.Close()
}

// expectClosed waits for the server to close the connection. If it does not, that shows in
// the connection's state.
func (s *session) expectClosed(ctx context.Context, p *peer) error {
	s.closing = true
	waiting, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	s.await(waiting, func() bool { return !p.ended.IsZero() })
	return ctx.Err()
}

// await returns nil once done returns true. It calls done under mu whenever a connection
// receives or ends.
func (s *session) await(ctx context.Context, done func() bool) error {
	for {
		s.mu.Lock()
		ok, changed := done(), s.changed
		s.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// transcript returns what all connections received so far.
func (s *session) transcript(name string) Transcript {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := Transcript{Name: name}
	for _, p := range s.peers {
		t.Conns = append(t.Conns, p.outcome())
	}
	return t
}

// close closes all connections and waits for their readers.
func (s *session) close() {
	for _, p := range s.peers {
		p.conn.Close()
	}
	s.readers.Wait()
}
