package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"switchyard/proxy"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/logsample"
)

// Requests that change the server. Each is logged with its client.

// logRequest logs a request that operates the server: with the client's address or process, and by
// whom, as the history of policies has it.
func (s *Server) logRequest(r *http.Request, what string, attributes ...any) {
	s.log.Info("admin request", append([]any{"request", what, "client", callerOf(r).name, "by", s.who(r)}, attributes...)...)
}

// logFew logs a line that clients without a token can cause: a few with each message between
// two samples.
func (s *Server) logFew(level slog.Level, message string, attributes ...any) {
	if s.limited.Admit(message, 1) {
		s.log.Log(context.Background(), level, message, attributes...)
	}
}

// flushFew lets the next lines through, and logs how many were suppressed.
func (s *Server) flushFew() { flushFew(&s.limited, s.log) }

func flushFew(limited *logsample.Lines, log *slog.Logger) {
	limited.Flush(func(message string, times int) { log.Warn("more of the same", "message", message, "times", times) })
}

// reload reads configuration, policies and certificates again, and answers with the results.
func (s *Server) reload(w http.ResponseWriter, r *http.Request) error {
	if err := s.reloads.acquire("reloads wait already; ask again when they are done"); err != nil {
		return err
	}
	defer s.reloads.release()
	s.logRequest(r, "reload")
	clearDeadlines(w)
	result, err := s.backend.Reload(r.Context())
	s.extendWriteDeadline(w)
	switch {
	case errors.Is(err, ErrStopping):
		return refuse(http.StatusServiceUnavailable, "%v", err)
	case err != nil:
		return refuse(http.StatusServiceUnavailable, "reload: %v; ask again", err)
	case result.OK:
		return answer(w, http.StatusOK, result)
	default:
		return answer(w, http.StatusUnprocessableEntity, result)
	}
}

// drain makes the server stop. It answers at once and does not wait for the drain. This interface stays
// open until that is over, so that operators can watch it.
func (s *Server) drain(w http.ResponseWriter, r *http.Request) error {
	s.logRequest(r, "drain")
	limit := s.backend.Drain()
	return answer(w, http.StatusAccepted, api.Drain{Draining: true, TimeoutSeconds: limit.Seconds()})
}

// closeConnection closes the connection of one peer, gracefully, and does not wait for its end.
func (s *Server) closeConnection(w http.ResponseWriter, r *http.Request) error {
	var asked api.CloseRequest
	if err := s.readJSON(w, r, &asked, 4<<10); err != nil {
		return err
	}
	if err := checkReason(asked.Reason); err != nil {
		return err
	}
	if asked.Session == 0 {
		return errors.New("session: name the one to close by its number, as /api/v1/connections has it")
	}
	t, err := s.tenant(asked.Tenant)
	if err != nil {
		return err
	}
	sessions := t.Served.Sessions()
	i := slices.IndexFunc(sessions, func(s proxy.Session) bool { return s.Number == asked.Session })
	if i < 0 {
		return refuse(http.StatusNotFound, "tenant %s has no session %d; it may have ended. /api/v1/connections lists those that are open", t.Name, asked.Session)
	}
	if !sessions[i].End() {
		return refuse(http.StatusConflict, "session %d is being closed already", asked.Session)
	}
	closed := api.Closed{Tenant: t.Name, Session: asked.Session, Peer: sessions[i].Peer().String()}
	s.logRequest(r, "close", "tenant", t.Name, "session", closed.Session, "peer", closed.Peer, "reason", asked.Reason)
	return answer(w, http.StatusOK, closed)
}

// The level of the log is set here for a while, to look at something. A reload of the configuration sets
// the configured one again.

// logLevel answers with the level from which lines are logged, and the configured one.
func (s *Server) logLevel(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, http.StatusOK, api.LogLevel{Level: levelName(s.options.Level.Level()), Configured: levelName(s.backend.State().Level)})
}

// levels are those that an operator may set.
var levels = []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

func levelName(l slog.Level) string { return strings.ToLower(l.String()) }

// setLogLevel sets the level from which lines are logged, until it is set again or the
// configuration is reloaded.
func (s *Server) setLogLevel(w http.ResponseWriter, r *http.Request) error {
	var wanted api.LogLevel
	if err := s.readJSON(w, r, &wanted, 1<<10); err != nil {
		return err
	}
	for _, l := range levels {
		if levelName(l) == wanted.Level {
			s.logRequest(r, "log level", "level", wanted.Level)
			s.options.Level.Set(l)
			return s.logLevel(w, r)
		}
	}
	return errors.New("level is none of debug, info, warn and error; write one of them")
}
