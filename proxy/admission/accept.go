package admission

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// keepAlive are TCP parameters of accepted connections. A dead peer is noticed within 30 s. If sent data
// is unacknowledged, the kernel goes by another one, see setSocketOptions.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

// acceptLoop accepts until the listener is closed, and pauses when accepting fails.
func (l *Listener) acceptLoop() {
	var failures backoff
	for l.takes(l.accepting) {
		pause, open := l.accept(&failures)
		l.accepting <- struct{}{}
		if !open {
			return
		}
		select {
		case <-time.After(pause):
		case <-l.closing:
			return
		}
	}
}

// accept accepts until that fails or the listener freezes, and returns how long to pause then. It
// returns false if the listener is closed.
func (l *Listener) accept(failures *backoff) (pause time.Duration, open bool) {
	for {
		conn, err := l.listener.AcceptTCP()
		switch {
		case err == nil:
			l.keepSpare()
			l.arrive(conn)
			continue
		case errors.Is(err, net.ErrClosed):
			return 0, false
		case errors.Is(err, os.ErrDeadlineExceeded):
			// The listener freezes, or admitLine set the deadline: it is time to log how many
			// lines were left out.
			l.wakeAt(time.Time{})
			l.flushLines(time.Now())
			return 0, true
		}
		pause = failures.after(time.Now())
		l.log.Error("accepting a connection failed; trying again", "pause", pause.String(), "error", err)
		if isExhausted(err) {
			l.turnAway()
		}
		return pause, true
	}
}

const shortestPause, longestPause = 5 * time.Millisecond, time.Second

// A backoff doubles the pause after each failure that follows the previous one within
// longestPause, even if accepting succeeded in between: while descriptors run out, peers
// that come and go must not cause a log line each.
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

// turnAway accepts one connection with the spare descriptor and closes it: a peer that
// cannot be served learns so at once and need not time out.
func (l *Listener) turnAway() {
	if l.spare == nil {
		return
	}
	l.spare.Close()
	l.spare = nil
	l.wakeAt(time.Now().Add(time.Millisecond))
	if conn, err := l.listener.AcceptTCP(); err == nil {
		conn.Close()
		l.mu.Lock()
		l.counts.Accepted++
		l.counts.Refused[NoDescriptors]++
		l.mu.Unlock()
	}
	l.wakeAt(time.Now().Add(linesEvery)) // this replaced a deadline of admitLine, if there was one
	l.keepSpare()
}

// keepSpare opens the spare descriptor, unless it is open. If none is available, the next
// accepted connection tries again.
func (l *Listener) keepSpare() {
	if l.spare == nil {
		l.spare, _ = os.Open(os.DevNull)
	}
}

// tune sets the options of an accepted connection. Go has set TCP_NODELAY already.
func tune(conn *net.TCPConn, o *Options) {
	conn.SetKeepAliveConfig(keepAlive)
	setSocketOptions(conn, o)
}
