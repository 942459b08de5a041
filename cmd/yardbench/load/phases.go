//go:build linux

package load

import (
	"math"
	"time"

	"switchyard/cmd/yardbench/message"
	"switchyard/cmd/yardbench/process"
)

// What a loop does at certain times, in the order of a run: join, begin, measure, cease.

// keepAliveTime is the interval of heartbeats. Hubs close a connection after 30 seconds
// without one.
const keepAliveTime = 10 * time.Second

// plan adds what happens before begin to the agenda.
func (l *loop) plan() {
	l.todo.at(l.now+int64(joinTime), l.joinLate)
	l.todo.at(l.now, l.probe)
	if l.run.wire.Protocol.KeepAlive() != nil {
		l.keepAliveOf(0, l.now+int64(keepAliveTime))
	}
}

// probe sends probes, by which connections see that they receive. The first two connections
// send them, so that each of the two receives one as well.
func (l *loop) probe(now int64) {
	if !l.joining {
		return
	}
	for _, c := range l.long {
		if c.number < 2 && c.idle() {
			l.say(c, l.run.wire.Append(nil, message.Message{Sender: message.Probe, Seq: uint32(c.number), Due: now}))
		}
	}
	l.todo.at(now+int64(probeTime), l.probe)
}

// joinLate ends the run if connections still receive nothing.
func (l *loop) joinLate(int64) {
	if n := int(l.run.joined.Load()); l.joining {
		l.fail("%d of %d connections to %s receive nothing; is it a hub that relays to all?", l.run.plan.Connections-n, l.run.plan.Connections, l.run.plan.hubs())
	}
}

// keepAliveOf sends the heartbeat of connection i, and later that of the next one. Sending
// all at once would disturb the measurement.
func (l *loop) keepAliveOf(i int, at int64) {
	l.todo.at(at, func(int64) {
		l.say(l.long[i], l.run.wire.Protocol.KeepAlive())
		l.keepAliveOf((i+1)%len(l.long), at+int64(keepAliveTime)/int64(len(l.long)))
	})
}

// schedule adds the rest to the agenda, once begin is known:
//
//	begin             activate: senders send
//	begin + warmup    mark: counts and CPU time so far
//	  + duration      mark again; cease: nothing more is sent, what is under way arrives
//	  + longestDrain  the loop ends in any case
func (l *loop) schedule() {
	p := &l.run.plan
	begin, from, to := l.run.begin.Load(), l.run.measureFrom(), l.run.measureTo()
	l.rec.From, l.rec.Span = from, to-from
	l.todo.at(begin, l.activate)
	l.todo.at(from, l.mark)
	if p.Stall.Connections > 0 {
		l.stall.schedule(l, from, to)
	}
	if p.Short.Rate > 0 {
		l.short.schedule(l, begin, to)
	}
	l.todo.at(to, l.mark)
	l.todo.at(to, l.cease)
	l.todo.at(to+int64(longestDrain), func(int64) { l.finished = true })
}

// longestDrain bounds the time for missing messages to arrive.
const longestDrain = time.Minute

// activate begins the sending.
func (l *loop) activate(now int64) {
	l.active = true
	for _, c := range l.sending {
		c.sender.begin(now, l.run.measureFrom(), l.run.plan.Senders)
	}
}

// cease ends the sending.
func (l *loop) cease(now int64) {
	for _, c := range l.sending {
		l.run.sent[c.sender.number].Store(c.sender.next)
	}
	l.active, l.draining, l.nextDue, l.lastRead = false, true, math.MaxInt64, now
	l.run.ceased.Add(1)
}

// A mark holds the counts at one end of the measured span.
type mark struct {
	at                   int64
	delivered, published uint64
	server, bus          time.Duration // CPU time so far
	own, machine         time.Duration
	memory               process.Memory
}

// mark records the counts of this loop's connections. Only the first loop measures processes,
// since all loops are one process.
func (l *loop) mark(int64) {
	m := mark{at: l.run.now()}
	for _, c := range l.long {
		m.delivered += c.receiver.Delivered
		if c.sender != nil {
			m.published += uint64(c.sender.next)
		}
	}
	if l.index == 0 {
		if err := m.measure(&l.run.plan); err != nil {
			l.fail("measure: %w", err)
		}
	}
	l.marks = append(l.marks, m)
}

// measure reads CPU time so far of this process, of the machine, of the plan's hubs and of their
// bus, and the memory of the hubs together.
func (m *mark) measure(p *Plan) (err error) {
	if m.own, m.machine, err = ownCPU(); err != nil {
		return err
	}
	if m.bus, err = cpuOf(p.Bus); err != nil {
		return err
	}
	if m.server, err = cpuOf(p.PIDs); err != nil {
		return err
	}
	for _, pid := range p.PIDs {
		one, err := process.MemoryOf(pid)
		if err != nil {
			return err
		}
		m.memory.Resident += one.Resident
		m.memory.Peak += one.Peak
	}
	return nil
}

// cpuOf returns the CPU time of some processes together.
func cpuOf(pids []int) (sum time.Duration, err error) {
	for _, pid := range pids {
		one, err := process.CPU(pid)
		if err != nil {
			return 0, err
		}
		sum += one
	}
	return sum, nil
}
