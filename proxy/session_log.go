package proxy

import (
	"context"
	"errors"
	"log/slog"
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
	if cause := s.causeOf(why); cause != nil {
		attrs = append(attrs, "error", cause)
		if foreign, ok := errors.AsType[*foreignError](cause); ok {
			attrs = append(attrs, "hint", foreign.hint)
		}
	}
	if late := s.input.latePDUs; late > 0 {
		attrs = append(attrs, "not_routed", late)
	}
	l.log.Log(context.Background(), level, sessionClosed, attrs...)
}

// levelOf returns the level of the line about a session that ended for that reason.
func levelOf(why hub.Reason) slog.Level {
	if warns(why) {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// warns reports whether an end for that reason is the fault of the peer or of the path to it.
func warns(why hub.Reason) bool {
	switch why {
	case hub.SlowConsumer, hub.WriteTimeout, hub.BadLength, hub.IdleTimeout, hub.UrgentData, hub.NoPDU,
		hub.PDUTimeout, hub.InputFull,
		hub.NotAllowed, hub.CertificateRevoked, hub.CertificateExpired, hub.CertificateUnknownCA,
		hub.TLSOnPlainPort, hub.ProxyHeader, hub.HTTP:
		return true
	}
	return false
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
