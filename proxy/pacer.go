package proxy

import (
	"math"
	"time"
)

// The time in nanoseconds that a slow msg_server needs for a batch: it reads until its socket is
// empty, and only then takes the PDUs off the front of its buffer. For each PDU it moves
// the rest of the buffer. The fastest one needs less than half.
const (
	readTime = 2.0                   // to read a byte
	pduTime  = 4000.0                // to process a PDU
	moveTime = 1e9 / float64(10<<30) // to move a byte
)

const (
	// batchTime is how long a slow msg_server may need for a batch.
	batchTime = 64 * time.Millisecond
	// A peer reads in time if it reads again within 1/inTime of what a slow msg_server needs.
	inTime = 6
	// atOnce is how long the writes of a flow may take if a msg_server is to read most of it as
	// one batch.
	atOnce = 2 * time.Millisecond
	// fullTrust is the trust at which a peer is no longer paced. Two units of trust double the
	// longest flow.
	fullTrust = 12
	// lateTrust is the trust that a peer loses that does not read in time, and atOnceTrust the
	// trust that it gains at least if it reads a flow in time that was written at once.
	lateTrust, atOnceTrust = 2, 4
	// A peer that was late firstTrial times gets a trial, a flow that is doubled trialLevel times.
	// If it is late then, the next number is trialGrowth times as large. That it was busy with
	// something else counts busyTimes.
	firstTrial, trialGrowth, trialLevel, busyTimes = 8, 4, 2, 4
	// PDUs of largePDU bytes or more are not paced, because few of them fit into a window: a
	// msg_server processes the 384 that fit into 6 MiB in 0.1 s.
	largePDU = 16 << 10
	// roomTime is how long the most room that the peer's kernel has had is taken for that of an
	// empty socket.
	roomTime = 2 * time.Second
)

// A pacer limits how much is sent at once to a peer that may be a msg_server. The time a
// msg_server needs grows with the square of what it reads at once, and it reads nothing
// meanwhile:
//
//	read ─ read ─ … ─ empty │ PDU ─ move ─ PDU ─ move ─ … │ read ─ …
//	       a batch             its time                     what has come since
//
// It takes 8 s for a batch of 100,000 small PDUs, and half a second for twenty-five batches of
// 4,000. But it keeps reading for as long as it is written to. So a flow ends with a pause,
// in which the socket gets empty, and the next one waits until the peer reads again:
//
//	written   flow ──────│ pause │ probe │ pause │ probe │ …              │ flow ──────
//	read       batch ───── its time ────────────────────── probes ─ empty
//
// A flow is what is written faster than a slow msg_server processes it. At less than that, there
// are no pauses. At first a flow is as long as a batch that takes a slow msg_server batchTime.
//
// That a peer reads late proves little, because its machine may be busy. That it reads the
// probes sooner than the fastest msg_server could is a proof, if the flow was written at once:
// three of them suffice to lift the pace. If the flow took longer, a msg_server may have
// processed a part of it meanwhile. So a peer that reads in time gets longer flows, after which
// a msg_server would be late, and one that is late gets shorter ones:
//
//	a flow of 1 ─ in time ─▶ 2 ─ in time ─▶ 4 … ─ in time ─▶ no pace
//	            ◀── late ───   ◀── late ───
//
// A peer that reads much else as well, as in a saturated system, is late after each short flow,
// like a msg_server. But its delay does not grow with the square of the flow, so it passes a
// trial, a longer flow that those get from time to time which are late.
type pacer struct {
	// Static.
	written func() (bytes, pdus uint64) // so far
	kernel  kernel
	lifted  func() // called when the peer is paced no more

	// Owned by the goroutine that has the right to write.
	trust       int // below fullTrust, the peer is paced
	late, trial int // how often it was late since the last trial, and how often before the next one
	flow        flow
	probing     probing
	size        float64 // mean size of a PDU in the last write
	bytes, pdus uint64  // written by the last write that ended a PDU
	wroteAt     int64   // when something was last written, see clock

	unchecked int    // bytes written since isBehind was last called
	mostRoom  [2]int // of the peer's socket, before and since roomSince
	roomSince int64
}

// A flow is what was written without a pause, behind what the peer may have left unread.
type flow struct {
	bytes, pdus  int           // what was left is included
	left         int           // bytes
	began, ended int64         // when it was written, see clock
	cost         time.Duration // what a slow msg_server needs for it as one batch
}

// reportsWindow reports whether the kernel reports the window, as Linux does since 5.4. One that is
// closed looks as if it did not.
func reportsWindow(k kernel) bool {
	at, known := k.progress()
	return known && at.accepted > at.acknowledged
}

// newPacer returns the pacer of a connection whose kernel reports the window.
func newPacer(written func() (bytes, pdus uint64), k kernel, lifted func()) *pacer {
	p := &pacer{written: written, kernel: k, lifted: lifted, trial: firstTrial, size: 128}
	p.bytes, p.pdus = written() // by another process
	return p
}

// trusts reports whether the peer is not paced any more.
func (p *pacer) trusts() bool { return p.trust >= fullTrust }

// waits reports whether only probes are written until the peer reads, and up to which byte the peer's
// kernel accepts data, which changes when the peer reads.
func (p *pacer) waits() (edge uint64, is bool) {
	return p.probing.last.accepted, p.probing.active && p.probing.behind
}

// allows returns how many bytes may be written now. If it returns 0, it also returns how
// long to wait before the next call.
func (p *pacer) allows(now int64) (bytes int, wait time.Duration) {
	if p.trusts() || p.size >= largePDU {
		return flushBytes, 0
	}
	if p.probing.active {
		if bytes, wait = p.probe(now); p.probing.active {
			return bytes, wait
		}
		return p.allows(now)
	}
	if now-p.flow.began > int64(p.flow.cost) {
		p.flow = flow{began: now}
	}
	if p.isBehind(now) {
		return 0, p.probing.begin(now)
	}
	return min(flushBytes, max(probeBytes, p.longest()-p.flow.written())), 0
}

// extendFlow makes what is written next a part of the flow, however long that gets. Probing begins
// again behind it.
func (p *pacer) extendFlow() { p.probing.active = false }

// level returns how often the longest flow is doubled.
func (p *pacer) level() int {
	if p.late >= p.trial {
		return p.trust/2 + trialLevel
	}
	return p.trust / 2
}

// longest returns the length of the longest flow, in bytes. An int of 32 bits may not hold that of
// large PDUs.
func (p *pacer) longest() int {
	return min(p.batch(batchTime), math.MaxInt>>p.level()) << p.level()
}

// isBehind asks the kernel from time to time whether the peer has left more unread than a flow.
// If so, that takes the place of the flow.
func (p *pacer) isBehind(now int64) bool {
	if p.unchecked < p.batch(batchTime)/2 {
		return false
	}
	p.unchecked = 0
	at, known := p.kernel.progress()
	room := int(at.accepted - at.written)
	if now-p.roomSince > int64(roomTime) {
		p.mostRoom, p.roomSince = [2]int{p.mostRoom[1], room}, now
	}
	p.mostRoom[1] = max(p.mostRoom[1], room)
	unread := max(p.mostRoom[0], p.mostRoom[1]) - room
	if !known || unread <= p.longest() {
		return false
	}
	p.flow = flow{bytes: unread, pdus: int(float64(unread) / p.size), ended: now}
	p.flow.cost = p.flow.time()
	return true
}

// wrote records that n bytes were written.
func (p *pacer) wrote(n int, now int64) {
	if p.trusts() {
		return
	}
	bytes, all := p.written()
	pdus, since := int(all-p.pdus), float64(bytes-p.bytes)
	if pdus > 0 {
		p.size = since / float64(pdus)
		p.bytes, p.pdus = bytes, all
	} else {
		p.size = max(p.size, since) // a part of a PDU that is at least that large
	}
	p.wroteAt = now
	p.unchecked += n
	if p.probing.active {
		p.probing.wrote(n, now)
		return
	}
	f := &p.flow
	f.bytes, f.pdus, f.ended = f.bytes+n, f.pdus+pdus, now
	f.cost = f.time()
	if f.written() >= p.longest() && p.size < largePDU {
		p.probing.begin(now)
	}
}

// probe keeps probing. It returns what allows does, unless probing has ended.
func (p *pacer) probe(now int64) (bytes int, wait time.Duration) {
	q := &p.probing
	if bytes, wait = q.unfinished(now); bytes > 0 || wait > 0 {
		return bytes, wait
	}
	at, known := p.kernel.progress()
	nothingDue := !q.behind && at.written == at.acknowledged && now-p.wroteAt > int64(batchTime)
	if !known || nothingDue { // it is not known of a closed connection
		p.nextFlow(now)
		return 0, 0
	}
	q.look(at)
	waited := now - p.flow.ended
	late := waited > int64(p.flow.cost)/inTime
	switch {
	case q.behind && waited > 2*int64(p.flow.cost):
		p.nextFlowBehind(now)
		return 0, 0
	case q.behind && at.written > at.acknowledged:
		return 0, q.rest(now) // the acknowledgement comes when the peer reads, or after 40 ms
	case late && q.settled():
		p.wasLate(q.returns > 1)
	case !(late && q.waited) && q.reads():
		p.wasInTime(late)
	default:
		return q.next(), 0
	}
	p.nextFlow(now)
	return 0, 0
}

// nextFlowBehind begins a flow although the edge of the window says that the peer does not read: a
// slow msg_server would have read by now. The edge also stands still while the peer's kernel has
// less room than it has offered before. If the peer is stopped, it will read the flow together with
// what is left, which is taken into account when the next one may begin.
func (p *pacer) nextFlowBehind(now int64) {
	p.mostRoom = [2]int{}
	f := p.flow
	p.nextFlow(now)
	p.flow.bytes, p.flow.pdus, p.flow.left, p.flow.cost = f.bytes, f.pdus, f.bytes, f.cost
}

// nextFlow ends probing and begins a flow.
func (p *pacer) nextFlow(now int64) {
	p.probing.active = false
	p.flow = flow{began: now}
}

// wasLate records that a flow was followed by a time without reading, and whether the probes
// after it were as well. Then the peer is busy with something else than the flow.
func (p *pacer) wasLate(busy bool) {
	switch {
	case p.late >= p.trial:
		p.late, p.trial = 0, p.trial*trialGrowth
	case busy:
		p.late += busyTimes
	default:
		p.late++
		p.trust = max(0, p.trust-lateTrust)
	}
}

// wasInTime records that the peer has read probes as soon as it got them. That they were late
// is not the peer's fault then, but this process's.
func (p *pacer) wasInTime(late bool) {
	gain := 1 + 2*p.level()
	if !late && p.flow.ended-p.flow.began <= int64(atOnce) {
		gain = max(gain, atOnceTrust)
	}
	p.late = 0
	if p.trust += gain; p.trusts() {
		p.lifted()
	}
}

func (f *flow) written() int { return f.bytes - f.left }

// time returns how long a slow msg_server takes to process the flow as one batch.
func (f *flow) time() time.Duration {
	bytes, pdus := float64(f.bytes), float64(f.pdus)
	return time.Duration(bytes*readTime + pdus*(pduTime+bytes/2*moveTime))
}

// batch returns how many bytes of PDUs of the present size take a slow msg_server that long.
func (p *pacer) batch(t time.Duration) int {
	square, linear := p.size/2*moveTime, p.size*readTime+pduTime // t = square*pdus² + linear*pdus
	pdus := (math.Sqrt(linear*linear+4*square*float64(t)) - linear) / (2 * square)
	return int(pdus * p.size)
}
