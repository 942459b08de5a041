package proxy

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"switchyard/pdu/body"
	"switchyard/policy/abi"
	"switchyard/proxy/hub"
	"switchyard/proxy/logsample"
)

// A noteLog writes the hub's notes, a few lines of each kind between two ticks, so that
// a peer that causes many notes cannot fill the log.
type noteLog struct {
	log   *slog.Logger
	lines logsample.Lines

	// keep writes the question on which a policy failed to a file that reproduces the
	// fault, and returns the file's name or "". It may be nil, and it may take for ever.
	keep    func(session uint64, n hub.Note) (file string)
	keeping chan struct{}  // has an element for each keep that has not returned
	running sync.WaitGroup // goroutines that write lines; each ends within keepTime
}

const (
	// keepTime is how long the line about a fault waits for the name of the file.
	keepTime = time.Second
	// keepAtOnce is how many files may be written at once. While as many are stuck, faults
	// are logged without one.
	keepAtOnce = 4
)

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
	if n.Dropped == hub.OverLimit {
		attrs = append(attrs, "limit", n.Policy.RateLimits().Of(n.Verdict).String())
	}
	if err := n.Malformed(); err != nil {
		attrs = append(attrs, "error", err.Error())
		if invalid := (*body.Error)(nil); errors.As(err, &invalid) && invalid.Field != "" {
			attrs = append(attrs, "field", invalid.Field)
		}
	}
	attrs = append(attrs, "policy", n.Policy.Name, "sha256", n.Policy.Sum())
	if n.Fault != nil {
		attrs = append(attrs, "fault", n.Fault.Kind, "error", n.Fault.Err.Error())
		if l.keep != nil {
			l.keepAndLog(session, n, level, kind, attrs)
			return
		}
	}
	l.log.Log(context.Background(), level, kind, attrs...)
}

// keepAndLog logs a fault with the name of the file that reproduces it. It does not wait for the
// file, as the caller reads for a whole tenant, and the folder may be on a disk that does not
// answer.
func (l *noteLog) keepAndLog(session uint64, n hub.Note, level slog.Level, kind string, attrs []any) {
	select {
	case l.keeping <- struct{}{}:
	default:
		l.log.Log(context.Background(), level, kind, append(attrs, "reproduce", "")...)
		return
	}
	n.PDU = bytes.Clone(n.PDU) // which the caller overwrites
	file := make(chan string, 1)
	go func() {
		defer func() { <-l.keeping }()
		file <- l.keep(session, n)
	}()
	l.running.Go(func() {
		timer := time.NewTimer(keepTime)
		defer timer.Stop()
		name := ""
		select {
		case name = <-file:
		case <-timer.C:
		}
		l.log.Log(context.Background(), level, kind, append(attrs, "reproduce", name)...)
	})
}

// describe returns the line's message and level. The message is the kind by which lines
// are limited.
func describe(n hub.Note) (string, slog.Level) {
	switch {
	case n.Fault != nil:
		return "the policy failed to decide about a PDU", slog.LevelError
	case n.Dropped == hub.OverLimit:
		return "PDU dropped: over-limit", slog.LevelWarn
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
