//go:build linux

package load

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"switchyard/cmd/yardbench/check"
	"switchyard/cmd/yardbench/histogram"
	"switchyard/cmd/yardbench/message"
)

const (
	readSize      = 256 << 10 // bytes of one read at most
	stallReadSize = 32 << 10  // of a connection that catches up after a stall, so that others do not wait for it
	eventsSize    = 512       // events that one wait returns at most
	maxUnsent     = 16 << 20  // unsent bytes of a connection above which no more messages are made
)

// A loop plays some of the connections on one thread. Everything in it belongs to its
// goroutine. The functions are in the order in which a round calls them:
//
//	agenda     what is due by time: probes, begin, marks, stalls, short connections, cease
//	publish    messages that are due, as far as the window or the rate says
//	wait       for events, but no longer than until the next message or the agenda
//	serve      reads and writes each connection that has an event
//	floors     how far the receivers are, for senders of other loops
//
// One thread serves thousands of connections, so that the generator takes little of the machine
// that it shares with the hub.
type loop struct {
	run    *run
	index  int
	party  *party
	poller *poller
	buf    []byte // what was left over from a connection, and what was read after it

	to    []*unix.SockaddrInet4 // the hubs
	slots []*conn               // by the number in epoll events; nil: free
	free  []int32
	long  []*conn // connections that last for the whole run
	todo  agenda
	now   int64 // the run's clock when it was last read

	sending  []*conn // those of long that send
	paced    bool    // the plan has a rate
	nextDue  int64   // earliest of all senders, with a rate
	active   bool    // senders send
	draining bool    // sending is over

	rec      check.Recorder
	aside    check.Recorder // of connections that are not measured
	late     histogram.Histogram
	lowest   []lowest
	lastRead int64 // when bytes last arrived
	joining  bool
	marks    []mark // at the beginning and the end of the measured span
	short    shorts
	stall    stalling
	failed   error
	ended    []string // connections that the hub closed, with the reason
	finished bool
}

// lowest is the receiver of a loop that has received the fewest messages of a sender.
type lowest struct {
	who *conn
	at  uint32
}

// newLoop returns a loop without connections.
func newLoop(r *run, index int) (*loop, error) {
	var to []*unix.SockaddrInet4
	for _, address := range r.plan.Addresses {
		one, err := resolve(address)
		if err != nil {
			return nil, err
		}
		to = append(to, one)
	}
	l := &loop{run: r, index: index, to: to, buf: make([]byte, readSize), paced: r.plan.Rate > 0, joining: true,
		nextDue: math.MaxInt64, lowest: make([]lowest, r.plan.Senders)}
	var err error
	if l.poller, err = newPoller(eventsSize); err != nil {
		return nil, err
	}
	l.party = r.newParty(l.poller.wake)
	return l, nil
}

// close closes all connections, after the last round.
func (l *loop) close() {
	for _, c := range l.slots {
		if c != nil {
			unix.Close(c.fd)
		}
	}
	l.slots = nil
	l.poller.close()
}

// connect opens connection n of the run.
func (l *loop) connect(n int) error {
	p := &l.run.plan
	self := message.Nobody
	var s *sender
	if n < p.Senders {
		self = uint32(n)
		s = newSender(p, &l.run.wire, n, &l.late)
	}
	c, err := l.open(n)
	if err != nil {
		return err
	}
	c.number, c.sender = n, s
	c.receiver = check.NewReceiver(&l.run.wire, self, p.Senders, &l.rec)
	c.out = append(c.out, p.Protocol.Greeting()...)
	l.long = append(l.long, c)
	if s != nil {
		l.sending = append(l.sending, c)
	}
	if n >= p.Connections-p.Stall.Connections {
		c.receiver.Record(&l.aside)
		l.stall.conns = append(l.stall.conns, c)
	}
	return nil
}

// play plays until everything has arrived, or nothing has arrived for Plan.Drain.
func (l *loop) play() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	sharpenTimers()
	l.now = l.run.now()
	l.plan()
	for !l.finished && l.failed == nil {
		if l.run.over.Err() != nil {
			return fmt.Errorf("run stopped: %w", context.Cause(l.run.over))
		}
		l.round()
	}
	return l.failed
}

// round waits for events, reads, and sends, each once.
func (l *loop) round() {
	l.now = l.run.now()
	l.todo.do(l.now)
	l.publish()
	wait := min(l.todo.next(), l.nextDue) - l.now
	if !l.active {
		wait = min(wait, int64(time.Millisecond)) // to see what other loops have done
	}
	for _, e := range l.poller.wait(time.Duration(wait)) {
		if e.Fd == wakeSlot {
			l.poller.drainWakes()
			continue
		}
		if c := l.slots[e.Fd]; c != nil {
			l.serve(c, e.Events)
		}
		// A round over many connections can take longer than senders or marks may wait.
		if l.now >= l.nextDue {
			l.publish()
		}
		if l.now >= l.todo.next() {
			break // epoll reports the remaining connections again
		}
	}
	switch {
	case l.draining:
		l.updateFloors()
		l.finished = l.drained()
	case l.active && !l.paced:
		l.updateFloors()
	}
	if l.joining && l.run.begin.Load() != 0 {
		l.joining = false
		l.schedule()
	}
}

// publish sends the messages that are due. Without a rate, a sender that has nothing left to write
// and room in its window makes another batch at once.
func (l *loop) publish() {
	if !l.active {
		return
	}
	if l.paced {
		l.publishDue()
		return
	}
	starving := false
	for _, c := range l.sending {
		for c.idle() && c.sender.mayBatch(l.run.progress(c.sender.number)) {
			c.out = c.sender.appendBatch(c.out, l.run.now())
			l.write(c)
		}
		starving = starving || c.idle()
	}
	l.starve(starving)
}

// publishDue sends the messages that are due by the rate.
func (l *loop) publishDue() {
	l.nextDue = math.MaxInt64
	for _, c := range l.sending {
		if s := c.sender; int64(s.due) <= l.now && c.state == open {
			fresh := c.idle()
			c.out = s.appendDue(c.out, l.now, maxUnsent)
			if fresh {
				l.write(c)
			}
		}
		if len(c.out) < maxUnsent && c.state == open {
			l.nextDue = min(l.nextDue, int64(c.sender.due))
		}
	}
}

// starve publishes whether this loop waits for what other loops receive.
func (l *loop) starve(starving bool) {
	if len(l.run.parties) == 1 {
		return
	}
	l.party.starved.Store(starving)
	if !starving {
		return
	}
	// What arrived in between did not wake this loop.
	for _, c := range l.sending {
		if c.idle() && c.sender.mayBatch(l.run.progress(c.sender.number)) {
			l.poller.wake()
			return
		}
	}
}

// updateFloors publishes how far the loop's receivers are, and wakes loops that wait.
func (l *loop) updateFloors() {
	risen := false
	for sender := range l.lowest {
		low := &l.lowest[sender]
		if low.who != nil && low.who.counts() && low.who.receiver.Progress(uint32(sender)) == low.at {
			continue // the last one is the same and has not moved
		}
		*low = l.findLowest(uint32(sender))
		l.party.floors[sender].Store(low.at)
		risen = true
	}
	if !risen {
		return
	}
	for _, p := range l.run.parties {
		if p != l.party && p.starved.CompareAndSwap(true, false) {
			p.wake()
		}
	}
}

// findLowest looks at all receivers for the one that is behind the others. updateFloors calls it
// only when the last one has moved, so that most rounds look at one receiver for each sender.
func (l *loop) findLowest(sender uint32) lowest {
	low := lowest{at: math.MaxUint32}
	for _, c := range l.long {
		if c.counts() {
			if at := c.receiver.Progress(sender); low.who == nil || at < low.at {
				low = lowest{c, at}
			}
		}
	}
	return low
}

// drained reports whether there is nothing to wait for.
func (l *loop) drained() bool {
	quiet := l.now - l.lastRead
	if l.run.complete(l.party) && l.short.complete(l, quiet) {
		return true
	}
	return l.run.allCeased() && quiet > int64(l.run.plan.Drain)
}

// fail ends the run with an error.
func (l *loop) fail(format string, args ...any) {
	if l.failed == nil {
		l.failed = fmt.Errorf(format, args...)
	}
}
