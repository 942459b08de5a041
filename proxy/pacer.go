package proxy

import (
	"math"
	"time"
)

// The time in nanoseconds that a msg_server needs for a batch: it reads until its socket is
// empty, and only then takes the PDUs off the front of its buffer. For each PDU it moves
// the rest of the buffer.
const (
	readTime = 2.0                   // to read a byte
	pduTime  = 4000.0                // to process a PDU
	moveTime = 1e9 / float64(10<<30) // to move a byte
)

const (
	// paceInterval is how much processing time one batch may cost the peer. A peer that was
	// idle for longer gets credit for at most paceCredit.
	paceInterval = time.Millisecond
	paceCredit   = 16 * time.Millisecond
	// noPace is the lowest level at which a peer is not paced.
	noPace = 5
	// keepBatches is how many successive batches a peer must keep up with to reach the next
	// level. Each time the peer falls behind, the number grows eightfold, up to mostBatches.
	keepBatches, mostBatches = 8, 4096
	// A peer falls behind if it has left at least fallsBehind bytes unread, or if its full
	// window has blocked the kernel for stallTime.
	fallsBehind = 256 << 10
	stallTime   = 10 * time.Millisecond
	fullChecks  = 4
	// probeBytes is how much a peer that has fallen behind gets per pauseTime at most.
	probeBytes = 4 << 10
	pauseTime  = 50 * time.Millisecond
	// checkBytes is how much is written between two checks, unless the peer is paced.
	checkBytes = 128 << 10
	// PDUs of largePDU bytes or more are not paced, because few of them fit into a window: a
	// msg_server processes the 384 that fit into 6 MiB in 0.1 s. At most largeBytes of them
	// are written at once, since small PDUs may follow.
	largePDU, largeBytes = 16 << 10, 512 << 10
	// windowTime is how long the widest window that the peer's kernel has offered is taken for
	// the window of an empty socket.
	windowTime = 2 * time.Second
)

// A pacer limits how much is sent at once to a peer that processes large batches slowly.
// The time a msg_server needs grows with the square of what it reads at once, and it reads
// nothing meanwhile:
//
//	read ─ read ─ … ─ empty │ PDU ─ move ─ PDU ─ move ─ … │ read ─ …
//	       a batch             its time                     what has come since
//
// It takes 8 s for a batch of 100,000 small PDUs, and less than half a second for a hundred
// batches of 1,000. So a batch is no more than what a msg_server processes in the time since
// the last one. In a millisecond that is 200 PDUs of 66 bytes, or 100 of 1 KiB.
//
// Other peers can take more. Each level doubles the pace, and a peer that keeps up with it
// rises to the next one. The window of the peer's kernel shows whether it does. The kernel
// also acknowledges what the peer has not read, but its window shrinks by that much:
//
//	widest window  ├─────────────────────────────────────────────┤
//	window now     ├──────────────┤╶─── unread ───╴╶── recent ──╴┘
//
// Recent is what was written since the last check. It does not count as unread, because the
// peer may have read it after the last acknowledgement. A peer that falls behind gets little
// until it has read what it has. It then restarts at level 0 and rises more slowly.
type pacer struct {
	// Static.
	written func() (bytes, pdus uint64) // so far
	kernel  kernel

	// Owned by the goroutine that has the right to write.
	level  int // how often the pace of a msg_server was doubled
	keep   int // how many batches raise the level
	kept   int // batches of this level that the peer has kept up with
	full   int // successive checks that found the window nearly closed
	behind bool
	free   int64 // when a peer of this level will have processed what it was sent, see clock

	size        float64 // mean size of a PDU in the last write
	lifted      bool    // the limit on the kernel's unsent data is lifted, because PDUs are large
	bytes, pdus uint64  // written up to the last check

	recent      int   // bytes written since the last check
	checked     int64 // when the last check was
	stopped     time.Duration
	widest      [2]int // widest windows before and since widestSince
	widestSince int64
}

func newPacer(written func() (bytes, pdus uint64), k kernel) *pacer {
	return &pacer{written: written, kernel: k, keep: keepBatches, size: 128}
}

// allows returns how many bytes may be written now. If it returns 0, it also returns how
// long to wait before the next call.
func (p *pacer) allows(now int64) (bytes int, wait time.Duration) {
	if p.size >= largePDU {
		return largeBytes, 0
	}
	if p.level == noPace {
		if p.recent < flushBytes || now-p.checked < int64(paceCredit) {
			return flushBytes, 0
		}
	} else if idle := time.Duration(now - p.free); idle < paceInterval {
		return 0, paceInterval - idle
	}
	if p.recent >= checkBytes || p.recent >= probeBytes && (p.behind || p.kept > 0) {
		p.check(now)
	}
	switch {
	case p.free > now:
		return 0, time.Duration(p.free - now)
	case p.level == noPace:
		return flushBytes, 0
	case p.behind:
		return probeBytes, 0
	}
	idle := time.Duration(now - p.free)
	if idle >= paceCredit {
		p.kept = 0
	}
	return max(probeBytes, p.batch(min(idle, paceCredit>>p.level))<<p.level), 0
}

// waited records that a batch had to wait for the pace.
func (p *pacer) waited() {
	if p.behind {
		return
	}
	if p.kept++; p.kept >= p.keep {
		p.level, p.kept = p.level+1, 0
	}
	if p.level == noPace {
		p.keep = keepBatches
	}
}

// wrote records that n bytes were written.
func (p *pacer) wrote(n int, now int64) {
	p.recent += n
	if p.level == noPace {
		return
	}
	if bytes, pdus := p.written(); pdus > p.pdus {
		p.size = float64(bytes-p.bytes) / float64(pdus-p.pdus)
		p.bytes, p.pdus = bytes, pdus
	}
	large := p.size >= largePDU
	if large != p.lifted {
		p.lifted = large
		p.kernel.limitUnsent(!large)
	}
	if large {
		return
	}
	p.free = max(p.free, now-int64(paceCredit)) + int64(p.timeFor(n>>p.level))
}

// restoreLimit limits the kernel's unsent data again, by which another process knows that the
// connection is paced. The pacer may be nil.
func (p *pacer) restoreLimit() {
	if p != nil && p.lifted {
		p.lifted = false
		p.kernel.limitUnsent(true)
	}
}

// check asks the kernel whether the peer keeps up.
func (p *pacer) check(now int64) {
	window, stopped, known := p.kernel.window()
	recent, elapsed, stall := p.recent, time.Duration(now-p.checked), stopped-p.stopped
	p.recent, p.checked, p.stopped = 0, now, stopped
	if !known {
		return
	}
	widest := p.widestWindow(window, now)
	pace := p.batch(paceInterval) << p.level
	unread := widest - window - min(recent, pace)
	if unread > 2*pace || window < widest/2 {
		p.kept = 0
	}
	if p.full++; window >= widest/4 {
		p.full = 0
	}
	p.behind = unread > max(fallsBehind, 4*pace)
	switch {
	case p.behind, p.full >= fullChecks && p.level > 0:
		p.restart(now, p.timeFor(max(0, unread)))
	case stall > stallTime && stall > elapsed/2:
		p.restart(now, p.timeFor(window)) // it has just read about as much as its window
	}
}

// widestWindow returns the widest window of the recent past.
func (p *pacer) widestWindow(window int, now int64) int {
	if now-p.widestSince > int64(windowTime) {
		p.widest, p.widestSince = [2]int{p.widest[1], 0}, now
	}
	p.widest[1] = max(p.widest[1], window)
	return max(p.widest[0], p.widest[1])
}

// restart goes back to level 0, after a pause.
func (p *pacer) restart(now int64, pause time.Duration) {
	if p.level > 0 {
		p.keep = min(8*p.keep, mostBatches)
	}
	p.level, p.kept, p.full = 0, 0, 0
	p.free = max(p.free, now+int64(min(pause, pauseTime)))
}

// timeFor returns how long a msg_server takes to process n bytes that it reads at once.
func (p *pacer) timeFor(n int) time.Duration {
	bytes := float64(n)
	return time.Duration(bytes*readTime + bytes/p.size*(pduTime+bytes/2*moveTime))
}

// batch is the inverse of timeFor.
func (p *pacer) batch(t time.Duration) int {
	square, linear := p.size/2*moveTime, p.size*readTime+pduTime // t = square*pdus² + linear*pdus
	pdus := (math.Sqrt(linear*linear+4*square*float64(t)) - linear) / (2 * square)
	return int(pdus * p.size)
}
