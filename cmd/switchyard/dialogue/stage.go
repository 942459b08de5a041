package dialogue

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	dialPatience  = 5 * time.Second
	closePatience = 5 * time.Second // of expect-closed
)

// A stage is where one script is played: its connections, and what they have
// received. One goroutine plays, one per connection reads; close waits for them.
type stage struct {
	addr    string
	readers sync.WaitGroup

	// Owned by the goroutine that plays.
	byName   map[string]*peer
	requests int  // settling requests sent
	parting  bool // a connection was closed since the last settling

	mu      sync.Mutex
	peers   []*peer       // in the order they were opened
	step    int           // the last one that did something
	changed chan struct{} // closed and replaced whenever a connection received or ended
}

func newStage(addr string) *stage {
	return &stage{addr: addr, byName: map[string]*peer{}, changed: make(chan struct{})}
}

// act does one step.
func (s *stage) act(ctx context.Context, i int, st step, quiet bool) error {
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
		s.parting = true
	case opClose:
		s.leave(s.byName[st.conn])
		s.parting = true
	}
	return nil
}

func (s *stage) open(ctx context.Context, name string) (*peer, error) {
	d := net.Dialer{Timeout: dialPatience}
	conn, err := d.DialContext(ctx, "tcp", s.addr)
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

// readLoop takes down what a connection receives, until it ends.
func (s *stage) readLoop(p *peer) {
	buf := make([]byte, 64<<10)
	for {
		n, err := p.conn.Read(buf)
		s.mu.Lock()
		p.hear(buf[:n], s.step)
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

func (s *stage) leave(p *peer) {
	s.mu.Lock()
	p.left = true
	s.mu.Unlock()
	p.conn.Close()
}

// expectClosed waits for the server to close the connection. If it does not, the
// connection's state will tell.
func (s *stage) expectClosed(ctx context.Context, p *peer) error {
	s.parting = true
	patience, cancel := context.WithTimeout(ctx, closePatience)
	defer cancel()
	s.await(patience, func() bool { return !p.ended.IsZero() })
	return ctx.Err()
}

// await returns nil once done reports true, which is asked under mu whenever a
// connection received or ended.
func (s *stage) await(ctx context.Context, done func() bool) error {
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

func (s *stage) transcript(name string) Transcript {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := Transcript{Name: name}
	for _, p := range s.peers {
		t.Conns = append(t.Conns, p.account())
	}
	return t
}

// close closes all connections and waits for their readers.
func (s *stage) close() {
	for _, p := range s.peers {
		p.conn.Close()
	}
	s.readers.Wait()
}
