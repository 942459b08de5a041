package proxy

import "time"

const (
	// A probe is probeBytes of what is due. It is written in two parts, because a kernel may delay
	// the acknowledgement of a single segment by 40 ms although the peer has read it.
	probeBytes = 4 << 10
	// A peer reads if probesRead looks in a row show it, or if it has returned to reading
	// returns times. Once does not suffice: a msg_server that was not running then reads
	// the flow and the probes together.
	probesRead, returns = 4, 2
	// A difference of no more than sameEdge is none. It is between half a probe and a whole one,
	// because windows are rounded, and a peer may read a part of a probe when its kernel
	// acknowledges it.
	sameEdge = 5 << 9
	// Pauses begin with shortestPause, and double up to longestPause while the peer reads
	// nothing.
	shortestPause, longestPause = 500 * time.Microsecond, 8 * time.Millisecond
)

// A probing finds out whether a peer reads. It writes probes, with a pause after each, and looks
// up to which byte the peer's kernel accepts data, the edge of its window. The edge moves only
// if the peer reads:
//
//	at first      written ├────────────── window ──────────────┤ edge
//	unread        + + + + written ├────── window ──────────────┤ edge
//	read          + + + + written ├────────────── window ──────────────┤ edge
//
// What the edge shows can be one probe old, because the kernel may acknowledge a probe before it
// is read. So all but the last probe have to be read. In two cases the edge says nothing of the
// probes, and unread is counted again:
//
//   - It moves by more than was written. The peer has read what came before the first probe, or
//     its kernel has more room than before.
//   - It stays behind, but moves with each probe. The kernel has less room than before.
type probing struct {
	active  bool
	written int           // bytes of the present probe
	pause   time.Duration // after the present probe
	until   int64         // when the pause ends, see clock
	read    int           // looks in a row that showed reading; -1 before the first look
	behind  bool          // the last look showed unread probes
	waited  bool          // some look did
	returns int           // how often the peer has read after being behind

	first  progress // unread is counted from here
	last   progress // at the last look
	unread int      // at the last look
}

// begin begins probing with a pause, and returns it.
func (q *probing) begin(now int64) time.Duration {
	*q = probing{active: true, pause: shortestPause, read: -1}
	return q.rest(now)
}

// rest begins a pause, and returns it.
func (q *probing) rest(now int64) time.Duration {
	q.until = now + int64(q.pause)
	return q.pause
}

// next begins the next probe, and returns the size of its first part.
func (q *probing) next() int {
	q.written = 0
	return probeBytes / 2
}

// wrote records that n bytes of a probe were written.
func (q *probing) wrote(n int, now int64) {
	if q.written += n; q.written >= probeBytes {
		q.rest(now)
	}
}

// unfinished returns the size of the probe's second part, or the rest of the pause; 0 if both
// are over.
func (q *probing) unfinished(now int64) (bytes int, wait time.Duration) {
	if q.written > 0 && q.written < probeBytes {
		return probeBytes / 2, 0
	}
	return 0, time.Duration(max(0, q.until-now))
}

// look draws conclusions from how far the connection is.
func (q *probing) look(at progress) {
	unread := int(at.written-q.first.written) - int(at.accepted-q.first.accepted)
	narrower := at.written-q.last.written >= probeBytes && at.written == at.acknowledged && unread <= q.unread+sameEdge
	q.last, q.unread = at, unread
	tooMuch, was := unread > probeBytes+sameEdge, q.behind
	q.behind = tooMuch && !narrower && q.read >= 0
	if was && !q.behind {
		q.returns++
	}
	switch {
	case q.behind:
		q.read, q.waited = 0, true
		q.pause = min(2*q.pause, longestPause)
	case q.read < 0, tooMuch, unread < -sameEdge:
		q.read, q.first, q.unread = 0, at, 0
	default:
		q.read++
	}
}

// reads reports whether the looks suffice to say that the peer reads.
func (q *probing) reads() bool { return q.read >= probesRead || q.returns >= returns }

// settled reports whether the peer has returned to reading, and the looks suffice to say
// whether it reads the probes at once.
func (q *probing) settled() bool { return q.returns > 1 || q.returns == 1 && q.read >= 2 && !q.behind }
