package admission

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// TCP parameters of accepted connections. A dead peer is noticed within 30 s whether
// or not something is on the way to it.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

const userTimeout = 30 * time.Second // TCP_USER_TIMEOUT

// acceptLoop accepts until the listener is closed, and backs off when that fails.
func (l *Listener) acceptLoop() {
	var failures backoff
	for {
		conn, err := l.listener.AcceptTCP()
		switch {
		case err == nil:
			l.keepSpare()
			l.arrive(conn)
			continue
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			// Somebody has to say how many lines were left out; see admitLine.
			l.listener.SetDeadline(time.Time{})
			l.flushLines(time.Now())
			continue
		}
		pause := failures.after(time.Now())
		l.log.Error("accepting a connection failed; trying again", "pause", pause.String(), "error", err)
		if isExhausted(err) {
			l.turnAway()
		}
		select {
		case <-time.After(pause):
		case <-l.closing:
			return
		}
	}
}

const shortestPause, longestPause = 5 * time.Millisecond, time.Second

// A backoff doubles the pause after each failure that follows the one before too soon,
// whatever succeeded in between: peers that come and go while descriptors are used up
// must not have a line in the log each time.
type backoff struct {
	pause time.Duration
	until time.Time // the end of the last pause
}

// after returns how long to pause after a failure.
func (b *backoff) after(now time.Time) time.Duration {
	b.pause = min(2*b.pause, longestPause)
	if now.Sub(b.until) > longestPause {
		b.pause = shortestPause
	}
	b.until = now.Add(b.pause)
	return b.pause
}

func isExhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// turnAway accepts one connection with the spare descriptor and closes it, so that a
// peer that cannot be served sees that instead of waiting.
func (l *Listener) turnAway() {
	if l.spare == nil {
		return
	}
	l.spare.Close()
	l.spare = nil
	l.listener.SetDeadline(time.Now().Add(time.Millisecond))
	if conn, err := l.listener.AcceptTCP(); err == nil {
		conn.Close()
		l.mu.Lock()
		l.counts.Accepted++
		l.counts.Refused[NoDescriptors]++
		l.mu.Unlock()
	}
	l.listener.SetDeadline(time.Now().Add(linesEvery)) // the one before may have been for lines that were left out
	l.keepSpare()
}

// keepSpare takes a descriptor to give away, unless there is one. It fails where
// somebody else was faster, and is tried again when the next connection is accepted.
func (l *Listener) keepSpare() {
	if l.spare == nil {
		l.spare, _ = os.Open(os.DevNull)
	}
}

// tune sets what a connection to a msg_server needs; TCP_NODELAY is on already.
func tune(conn *net.TCPConn, congestionControl string) {
	conn.SetKeepAliveConfig(keepAlive)
	setUserTimeout(conn, userTimeout)
	if congestionControl != "" {
		setCongestionControl(conn, congestionControl)
	}
}
