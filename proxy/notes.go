package proxy

import (
	"context"
	"log/slog"

	"switchyard/policy/abi"
	"switchyard/proxy/hub"
	"switchyard/proxy/logsample"
)

// A noteLog writes the hub's notes, a few lines of each kind between two ticks, so that
// a peer that causes many notes cannot fill the log.
type noteLog struct {
	log *slog.Logger
	// keep writes the question on which a policy failed to a file that reproduces the
	// fault, and returns the file's name or "". It may be nil.
	keep  func(session uint64, n hub.Note) (file string)
	lines logsample.Lines
}

// write logs a note, unless there were too many of its kind.
func (l *noteLog) write(session uint64, n hub.Note) {
	kind, level := describe(n)
	if !l.log.Enabled(context.Background(), level) || !l.lines.Admit(kind, n.PDUs) {
		return
	}
	attrs := []any{"session", session, "service", n.Header.Service.String(), "command", n.Header.Command.String(),
		"length", n.Header.Length, "seq", n.Header.Seq, "pdus", n.PDUs, "verdict", n.Verdict.String()}
	if n.Dropped != "" {
		attrs = append(attrs, "reason", n.Dropped)
	}
	attrs = append(attrs, "policy", n.Policy.Name, "sha256", n.Policy.SHA256)
	if n.Fault != nil {
		attrs = append(attrs, "fault", n.Fault.Kind, "error", n.Fault.Err.Error())
		if l.keep != nil {
			attrs = append(attrs, "reproduce", l.keep(session, n))
		}
	}
	l.log.Log(context.Background(), level, kind, attrs...)
}

// describe returns the line's message and level. The message is the kind by which lines
// are limited.
func describe(n hub.Note) (string, slog.Level) {
	switch {
	case n.Fault != nil:
		return "the policy failed to decide about a PDU", slog.LevelError
	case n.Dropped == hub.ByPolicy:
		return "PDU dropped: wrong command id", slog.LevelWarn
	case n.Dropped == hub.NoHolder && n.Verdict.Has(abi.NotSender) && n.Verdict.Has(abi.ElseBroadcast):
		return "PDU without a receiver other than its sender", slog.LevelDebug // which the verdict provides for
	case n.Dropped != "":
		return "PDU dropped: " + string(n.Dropped), slog.LevelWarn
	default:
		return "PDU", slog.LevelInfo
	}
}

// flush lets the next lines of each kind through, and logs how many were suppressed.
func (l *noteLog) flush() {
	l.lines.Flush(func(kind string, pdus int) {
		l.log.Warn("more of the same", "message", kind, "pdus", pdus)
	})
}
