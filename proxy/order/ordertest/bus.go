package ordertest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"switchyard/proxy/order"
)

// A Bus is one log in memory, for any number of hubs. Each reads it through a Conn of its own. Time
// is that of package time, so that tests in a synctest bubble have their own.
type Bus struct {
	mu      sync.Mutex
	epoch   int64
	entries []order.Entry
	first   uint64 // the sequence number before entries[0]
	conns   []*Conn
	fate    func(record []byte) (copies int, delay time.Duration)
	clock   time.Duration // what the clock of the server that leads is ahead
}

// NewBus returns a bus whose log is empty.
func NewBus() *Bus { return &Bus{epoch: time.Now().UnixNano()} }

// SetFate makes decide say for each append how many copies get a place, and how much later. It is
// called under the bus's lock. With nil each gets one, at once.
func (b *Bus) SetFate(decide func(record []byte) (copies int, delay time.Duration)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fate = decide
}

// SetClock makes a server lead whose clock is so much ahead of the time.
func (b *Bus) SetClock(ahead time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock = ahead
}

// Lost is a fate: nothing gets a place, as while the bus elects.
func Lost([]byte) (copies int, delay time.Duration) { return 0, 0 }

// Recreate makes the log another one, which is empty. All readers fall out.
func (b *Bus) Recreate() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.epoch, b.entries, b.first = b.epoch+1, nil, 0
	for _, c := range b.conns {
		c.fallOut(order.OtherLog)
	}
}

// Empty makes the log lose its entries. Its epoch stays, and its numbers begin again, as when all
// servers that had it in memory were restarted. All readers fall out.
func (b *Bus) Empty() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries, b.first = nil, 0
	for _, c := range b.conns {
		c.fallOut(order.OtherLog)
	}
}

// Discard removes the entries so far. A reader that has not read them falls out.
func (b *Bus) Discard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.first, b.entries = b.first+uint64(len(b.entries)), nil
	for _, c := range b.conns {
		if c.read < b.first {
			c.fallOut(order.Overtaken)
		}
	}
}

// Entries returns what the log holds.
func (b *Bus) Entries() []order.Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.entries)
}

// take is an append that reached the bus. Called under mu.
func (b *Bus) take(record []byte) {
	copies, delay := 1, time.Duration(0)
	if b.fate != nil {
		copies, delay = b.fate(record)
	}
	record = slices.Clone(record)
	for range copies {
		if delay == 0 {
			b.place(record)
			continue
		}
		time.AfterFunc(delay, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.place(record)
		})
	}
}

// place gives the record a place. Called under mu.
func (b *Bus) place(record []byte) {
	place := order.Position{Epoch: b.epoch, Sequence: b.first + uint64(len(b.entries)) + 1}
	b.entries = append(b.entries, order.Entry{Position: place, At: time.Now().Add(b.clock), Record: record})
	for _, c := range b.conns {
		c.wake()
	}
}

// A Conn is a hub's connection to a Bus.
type Conn struct {
	bus     *Bus
	events  chan order.Event // sent by pumpLoop, never closed
	state   chan order.StateChunk
	changed chan struct{} // with one element: something is new for pumpLoop
	restart chan struct{} // received by pumpLoop, which then forgets the event that it offers
	closed  chan struct{}
	pumping sync.WaitGroup

	// Guarded by bus.mu.
	reading bool           // Begin was called, and the reader has not fallen out since
	read    uint64         // the sequence number of the last entry offered
	notices []order.Event  // to be sent before the entries
	cut     bool           // the bus is not reached
	said    []order.Origin // under which this hub has appended
}

// ErrUnreached is the error of a Conn that was cut.
var ErrUnreached = errors.New("the bus is not reached")

// Conn returns a new connection, to be closed by the caller.
func (b *Bus) Conn() *Conn {
	c := &Conn{bus: b, events: make(chan order.Event), state: make(chan order.StateChunk), changed: make(chan struct{}, 1),
		restart: make(chan struct{}), closed: make(chan struct{})}
	b.mu.Lock()
	b.conns = append(b.conns, c)
	b.mu.Unlock()
	c.pumping.Go(c.pumpLoop)
	return c
}

// Close ends the connection. Nothing else may be called afterwards but Append and SendState, which
// then fail.
func (c *Conn) Close() {
	c.bus.mu.Lock()
	c.bus.conns = slices.DeleteFunc(c.bus.conns, func(other *Conn) bool { return other == c })
	c.cut = true
	c.bus.mu.Unlock()
	close(c.closed)
	c.pumping.Wait()
}

// Append gives the record to the bus.
func (c *Conn) Append(record []byte) error {
	c.bus.mu.Lock()
	defer c.bus.mu.Unlock()
	if c.cut {
		return ErrUnreached
	}
	if r, err := order.Parse(record); err == nil && !slices.Contains(c.said, r.Origin) {
		c.said = append(c.said, r.Origin)
	}
	c.bus.take(record)
	return nil
}

// Begin begins a reading at the end of the log, in the place of the one before. It returns the last
// record of each hub and the last position.
func (c *Conn) Begin(ctx context.Context) (last []order.Entry, head order.Position, err error) {
	b := c.bus
	b.mu.Lock()
	if c.cut {
		b.mu.Unlock()
		return nil, order.Position{}, ErrUnreached
	}
	c.reading, c.notices, c.read = true, nil, b.first+uint64(len(b.entries))
	last, head = lastOfEach(b.entries), order.Position{Epoch: b.epoch, Sequence: c.read}
	b.mu.Unlock()
	select {
	case c.restart <- struct{}{}:
		return last, head, nil
	case <-ctx.Done():
		return nil, order.Position{}, ctx.Err()
	}
}

// Continue begins a reading behind the entry that another connection has read last. It is for a
// connection that has read nothing.
func (c *Conn) Continue(ctx context.Context, last order.Entry) error {
	b := c.bus
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.cut {
		return ErrUnreached
	}
	c.reading, c.read = true, last.Sequence
	switch {
	case last.Epoch != b.epoch || last.Sequence > b.first+uint64(len(b.entries)):
		c.fallOut(order.OtherLog)
	case last.Sequence < b.first:
		c.fallOut(order.Overtaken)
	}
	c.wake()
	return nil
}

// Events returns what the reader is told, always the same channel.
func (c *Conn) Events() <-chan order.Event { return c.events }

// Counts returns how many entries the reader has not received.
func (c *Conn) Counts() order.LogCounts {
	b := c.bus
	b.mu.Lock()
	defer b.mu.Unlock()
	return order.LogCounts{Behind: b.first + uint64(len(b.entries)) - c.read}
}

// Cut makes the bus unreachable: appends fail, and entries come after Heal.
func (c *Conn) Cut() {
	c.bus.mu.Lock()
	defer c.bus.mu.Unlock()
	c.cut = true
	c.notify(order.Event{Kind: order.Unreached, Err: ErrUnreached})
}

// Heal makes the bus reachable again.
func (c *Conn) Heal() {
	c.bus.mu.Lock()
	defer c.bus.mu.Unlock()
	c.cut = false
	c.notify(order.Event{Kind: order.Reached})
}

// FallOut makes the reader fall out.
func (c *Conn) FallOut(why order.Reason) {
	c.bus.mu.Lock()
	defer c.bus.mu.Unlock()
	c.fallOut(why)
}

// fallOut is FallOut, called under mu.
func (c *Conn) fallOut(why order.Reason) {
	c.notify(order.Event{Kind: order.FellOut, Reason: why, Err: errors.New("the test says so")})
}

// notify has the reader told, if there is one. Called under mu.
func (c *Conn) notify(e order.Event) {
	if c.reading {
		c.notices = append(c.notices, e)
		c.reading = e.Kind != order.FellOut
	}
	c.wake()
}

// wake makes pumpLoop look for what is new.
func (c *Conn) wake() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// pumpLoop sends the events.
func (c *Conn) pumpLoop() {
	for {
		e, ok := c.next()
		out := c.events
		if !ok {
			out = nil
		}
		changed := c.changed
		if ok {
			changed = nil
		}
		select {
		case out <- e:
		case <-changed:
		case <-c.restart:
		case <-c.closed:
			return
		}
	}
}

// next returns the next event, if there is one.
func (c *Conn) next() (e order.Event, ok bool) {
	b := c.bus
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(c.notices) > 0 {
		e, c.notices = c.notices[0], c.notices[1:]
		return e, true
	}
	i := c.read - b.first
	if !c.reading || c.cut || c.read < b.first || i >= uint64(len(b.entries)) {
		return order.Event{}, false
	}
	c.read++
	return order.Event{Kind: order.Recorded, Entry: b.entries[i]}, true
}

// SendState hands a part of the state to the hub that has appended as to, and returns when that has
// acknowledged it.
func (c *Conn) SendState(ctx context.Context, from, to order.Origin, chunk []byte, last bool) error {
	target := c.find(to)
	if target == nil {
		return ErrUnreached
	}
	acked := make(chan struct{})
	ack := sync.OnceFunc(func() { close(acked) })
	select {
	case target.state <- order.StateChunk{From: from, For: to, Chunk: slices.Clone(chunk), Last: last, Ack: func() error { ack(); return nil }}:
	case <-target.closed:
		return ErrUnreached
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-acked:
		return nil
	case <-target.closed:
		return ErrUnreached
	case <-ctx.Done():
		return ctx.Err()
	}
}

// find returns the connection of the hub, if both are connected.
func (c *Conn) find(to order.Origin) *Conn {
	c.bus.mu.Lock()
	defer c.bus.mu.Unlock()
	i := slices.IndexFunc(c.bus.conns, func(other *Conn) bool { return slices.Contains(other.said, to) })
	if i < 0 || c.cut || c.bus.conns[i].cut {
		return nil
	}
	return c.bus.conns[i]
}

// State returns what others send to this hub.
func (c *Conn) State() <-chan order.StateChunk { return c.state }
