package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"time"

	"switchyard/proxy/hub"
	"switchyard/proxy/logsample"
)

// A sessionLog logs when sessions begin and end, a few lines of each kind between two ticks,
// so that a peer that connects again and again cannot fill the log. Each reason for an end is
// a kind of its own: many ends of one kind hide none of another.
type sessionLog struct {
	log   *slog.Logger
	lines logsample.Lines
}

const (
	sessionOpened = "session opened"
	sessionClosed = "session closed"
)

// opened logs that s has become a session.
func (l *sessionLog) opened(s *session) {
	if l.log.Enabled(context.Background(), slog.LevelInfo) && l.lines.Admit(sessionOpened, 1) {
		l.log.Info(sessionOpened, "session", s.seat.Session(), "peer", s.conn.RemoteAddr().String(), "local", s.conn.LocalAddr().String())
	}
}

// closed logs that s has ended.
func (l *sessionLog) closed(s *session, why hub.Reason) {
	level := levelOf(why)
	if !l.log.Enabled(context.Background(), level) || !l.lines.Admit(sessionClosed+" "+string(why), 1) {
		return
	}
	attrs := []any{"session", s.seat.Session(), "peer", s.conn.RemoteAddr().String(), "reason", why,
		"open", time.Duration(clock() - s.opened).Round(time.Millisecond).String()}
	cause := s.input.cause
	var foreign *foreignError
	switch {
	case (why == hub.BadLength || why == hub.PeerReset) && !errors.Is(cause, net.ErrClosed):
		attrs = append(attrs, "error", cause)
	case errors.As(cause, &foreign) && why == foreign.reason:
		attrs = append(attrs, "error", cause, "hint", foreign.hint)
	}
	if late := s.input.latePDUs; late > 0 {
		attrs = append(attrs, "not_routed", late)
	}
	l.log.Log(context.Background(), level, sessionClosed, attrs...)
}

// levelOf returns the level of the line about a session that ended for that reason.
func levelOf(why hub.Reason) slog.Level {
	switch why {
	case hub.SlowConsumer, hub.WriteTimeout, hub.BadLength, hub.IdleTimeout, hub.UrgentData, hub.NoPDU,
		hub.PDUTimeout, hub.InputFull,
		hub.NotAllowed, hub.CertificateRevoked, hub.CertificateExpired, hub.CertificateUnknownCA,
		hub.TLSOnPlainPort, hub.ProxyHeader, hub.HTTP:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// flush lets the next lines of each kind through, and logs how many were suppressed.
func (l *sessionLog) flush() {
	l.lines.Flush(func(kind string, sessions int) {
		attrs := []any{"message", kind, "sessions", sessions}
		level := slog.LevelInfo
		if reason, ok := strings.CutPrefix(kind, sessionClosed+" "); ok {
			attrs = []any{"message", sessionClosed, "reason", reason, "sessions", sessions}
			level = levelOf(hub.Reason(reason))
		}
		l.log.Log(context.Background(), level, "more of the same", attrs...)
	})
}
