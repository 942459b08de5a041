//go:build linux

package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"switchyard/cmd/yardbench/check"
	"switchyard/cmd/yardbench/histogram"
	"switchyard/cmd/yardbench/message"
)

// Streams play a plan over TLS. A TLS connection in Go needs goroutines: one reads each
// connection, and one more writes to each that sends. That costs this process more than
// the loops do, so results over TLS compare with each other only.

const streamReadSize = 64 << 10

// A stream is one TLS connection.
type stream struct {
	// Static after openStream.
	run    *run
	number int
	conn   *tls.Conn
	party  *party
	woken  chan struct{} // wake sends, write receives; never closed

	// Owned by read, and by result after read has returned.
	receiver *check.Receiver
	rec      check.Recorder
	joined   bool
	ended    error

	// Owned by write, and by result after write has returned.
	sender *sender
	late   histogram.Histogram

	// How far read and write are. Any goroutine may read them.
	delivered, lastRead atomic.Int64
	published           atomic.Int64
}

// playStreams plays the plan over TLS.
func (r *run) playStreams(cancel context.CancelCauseFunc) (Result, error) {
	streams := make([]*stream, r.plan.Connections)
	for n := range streams {
		s, err := r.openStream(n)
		if err != nil {
			return Result{}, fmt.Errorf("connection %d of %d to %s: %w", n+1, len(streams), r.plan.address(n), err)
		}
		defer s.conn.Close()
		streams[n] = s
	}
	var working sync.WaitGroup
	for _, s := range streams {
		working.Go(func() {
			if err := s.read(); err != nil {
				cancel(err)
			}
		})
	}
	marks, err := r.leadStreams(streams, &working)
	if err != nil {
		cancel(err)
	}
	r.closing.Store(true)
	for _, s := range streams {
		s.conn.NetConn().Close() // ends read, and a write that blocks
	}
	working.Wait()
	if r.over.Err() != nil {
		return Result{}, context.Cause(r.over)
	}
	return r.streamResult(streams, marks)
}

// openStream connects, does the handshake, and sends the greeting.
func (r *run) openStream(n int) (*stream, error) {
	d := tls.Dialer{Config: r.plan.TLS}
	conn, err := d.DialContext(r.over, "tcp", r.plan.address(n))
	if err != nil {
		return nil, err
	}
	s := &stream{run: r, number: n, conn: conn.(*tls.Conn), woken: make(chan struct{}, 1)}
	if _, err := s.conn.Write(r.plan.Protocol.Greeting()); err != nil {
		conn.Close()
		return nil, err
	}
	s.party = r.newParty(s.wake)
	self := message.Nobody
	if n < r.plan.Senders {
		self = uint32(n)
		s.sender = newSender(&r.plan, &r.wire, n, &s.late)
	} else {
		r.ceased.Add(1)
	}
	s.receiver = check.NewReceiver(&r.wire, self, r.plan.Senders, &s.rec)
	return s, nil
}

// wake makes a write that waits look at the window again.
func (s *stream) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// read processes the input until the connection ends. An error means that the run cannot
// continue.
func (s *stream) read() error {
	buf := make([]byte, streamReadSize)
	kept := 0
	for {
		if kept == len(buf) {
			buf = append(buf, make([]byte, len(buf))...)
		}
		n, err := s.conn.Read(buf[kept:])
		if err != nil {
			if !s.run.closing.Load() {
				s.ended = err
			}
			return nil
		}
		if s.rec.Span == 0 && s.run.begin.Load() != 0 {
			s.rec.From, s.rec.Span = s.run.measureFrom(), int64(s.run.plan.Duration)
		}
		now := s.run.now()
		used, err := s.receiver.Take(buf[:kept+n], now)
		if err != nil {
			return fmt.Errorf("connection %d cannot be read on: %w", s.number, err)
		}
		kept = copy(buf, buf[used:kept+n])
		for ; s.receiver.Pings > 0; s.receiver.Pings-- {
			s.conn.Write([]byte(message.NATSPong)) // a TLS connection may be written to by several
		}
		s.publish(now)
	}
}

// publish makes what has arrived visible to other streams and to leadStreams.
func (s *stream) publish(now int64) {
	s.delivered.Store(int64(s.receiver.Delivered))
	s.lastRead.Store(now)
	if s.receiver.Joined && !s.joined {
		s.joined = true
		s.run.join()
	}
	for i := range s.party.floors {
		s.party.floors[i].Store(s.receiver.Progress(uint32(i)))
	}
	for _, p := range s.run.parties[:s.run.plan.Senders] {
		if p.starved.CompareAndSwap(true, false) {
			p.wake()
		}
	}
}

// leadStreams takes the streams through the course of a run, and waits until everything has arrived.
// It is to streams what phases.go is to loops, in one goroutine for all of them.
func (r *run) leadStreams(streams []*stream, working *sync.WaitGroup) (marks [2]mark, err error) {
	for r.begin.Load() == 0 {
		if r.now() > int64(joinTime) {
			return marks, fmt.Errorf("%d of %d connections to %s receive nothing; is it a hub that relays to all?", r.plan.Connections-int(r.joined.Load()), r.plan.Connections, r.plan.hubs())
		}
		for _, s := range streams[:2] {
			probe := r.wire.Append(nil, message.Message{Sender: message.Probe, Seq: uint32(s.number), Due: r.now()})
			if _, err := s.conn.Write(probe); err != nil {
				return marks, fmt.Errorf("send a probe: %w", err)
			}
		}
		if err := r.sleepUntil(r.now() + int64(probeTime)); err != nil {
			return marks, err
		}
	}
	for _, s := range streams[:r.plan.Senders] {
		working.Go(s.write)
	}
	for i, at := range []int64{r.measureFrom(), r.measureTo()} {
		if err := r.sleepUntil(at); err != nil {
			return marks, err
		}
		if err := r.markStreams(&marks[i], streams); err != nil {
			return marks, err
		}
	}
	for !r.streamsDrained(streams) {
		if err := r.sleepUntil(r.now() + int64(probeTime)); err != nil {
			return marks, err
		}
	}
	return marks, nil
}

// sleepUntil waits for a time of the run's clock, or returns the error that ends the run.
func (r *run) sleepUntil(at int64) error {
	t := time.NewTimer(time.Duration(at - r.now()))
	defer t.Stop()
	select {
	case <-r.over.Done():
		return context.Cause(r.over)
	case <-t.C:
		return nil
	}
}

// markStreams takes the counts at one end of the measured span, while the streams continue.
func (r *run) markStreams(m *mark, streams []*stream) error {
	m.at = r.now()
	for _, s := range streams {
		m.delivered += uint64(s.delivered.Load())
		m.published += uint64(s.published.Load())
	}
	return m.measure(&r.plan)
}

// streamsDrained reports whether everything has arrived, or nothing for Plan.Drain.
func (r *run) streamsDrained(streams []*stream) bool {
	complete, last := true, r.measureTo()
	for _, s := range streams {
		complete = complete && r.complete(s.party)
		last = max(last, s.lastRead.Load())
	}
	now := r.now()
	return complete || r.allCeased() && now-last > int64(r.plan.Drain) || now > r.measureTo()+int64(longestDrain)
}

// write sends the messages that are due until the end of the measured span. It runs in a goroutine of
// its own, since a write to a TLS connection may block.
func (s *stream) write() {
	r := s.run
	s.sender.begin(r.begin.Load(), r.measureFrom(), r.plan.Senders)
	end := time.NewTimer(time.Duration(r.measureTo() - r.now()))
	defer end.Stop()
	sleepNanos(r.begin.Load() - r.now())
	var out []byte
	for r.now() < r.measureTo() && r.over.Err() == nil {
		if out = s.next(out[:0], end.C); len(out) == 0 {
			continue
		}
		if _, err := s.conn.Write(out); err != nil {
			break // read returns the reason
		}
		s.published.Store(int64(s.sender.next))
	}
	r.sent[s.sender.number].Store(s.sender.next)
	r.ceased.Add(1)
}

// next waits until messages are due and appends them.
func (s *stream) next(out []byte, end <-chan time.Time) []byte {
	r := s.run
	if r.plan.Rate > 0 {
		sleepNanos(min(int64(s.sender.due), r.measureTo()) - r.now())
		return s.sender.appendDue(out, min(r.now(), r.measureTo()-1), maxUnsent)
	}
	s.party.starved.Store(true)
	if s.sender.mayBatch(r.progress(s.sender.number)) {
		s.party.starved.Store(false)
		return s.sender.appendBatch(out, r.now())
	}
	select {
	case <-s.woken:
	case <-end:
	case <-r.over.Done():
	}
	return out
}

// sleepNanos sleeps for ns nanoseconds more exactly than time.Sleep does.
func sleepNanos(ns int64) {
	if ns > 0 {
		t := unix.NsecToTimespec(ns)
		unix.Nanosleep(&t, nil)
	}
}

// streamResult combines the findings of the streams: as those of one loop, so that the sums are
// formed in one place.
func (r *run) streamResult(streams []*stream, marks [2]mark) (Result, error) {
	all := &loop{run: r, marks: marks[:]}
	for _, s := range streams {
		all.rec.Latency.Merge(&s.rec.Latency)
		all.late.Merge(&s.late)
		if s.ended != nil {
			all.ended = append(all.ended, fmt.Sprintf("connection %d: %v", s.number, s.ended))
		}
		all.long = append(all.long, &conn{number: s.number, receiver: s.receiver, sender: s.sender})
	}
	return r.result([]*loop{all})
}
