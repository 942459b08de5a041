package admin

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"switchyard/proxy/admin/api"
)

// What operators do to the server. Each of it is logged, with who asked.

// did logs what an operator did.
func (s *Server) did(r *http.Request, what string, attributes ...any) {
	s.log.Info("admin request", append([]any{"request", what, "client", callerOf(r).name}, attributes...)...)
}

// reload reads everything again, and waits for it.
func (s *Server) reload(w http.ResponseWriter, r *http.Request) error {
	if err := s.reloads.take("reloads wait already; ask again when they are done"); err != nil {
		return err
	}
	defer s.reloads.leave()
	s.did(r, "reload")
	takesLong(w)
	result, err := s.facts.Reload(r.Context())
	s.inTime(w)
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

// drain has the server stop.
func (s *Server) drain(w http.ResponseWriter, r *http.Request) error {
	s.did(r, "drain")
	limit := s.facts.Drain()
	return answer(w, http.StatusAccepted, api.Drain{Draining: true, TimeoutSeconds: limit.Seconds()})
}

func (s *Server) logLevel(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, http.StatusOK, api.LogLevel{Level: nameOf(s.facts.Level.Level()), Configured: nameOf(s.facts.Configured())})
}

// levels are those that there are.
var levels = []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

func nameOf(l slog.Level) string { return strings.ToLower(l.String()) }

// setLogLevel has more or less logged from now on.
func (s *Server) setLogLevel(w http.ResponseWriter, r *http.Request) error {
	var wanted api.LogLevel
	if err := s.readJSON(w, r, &wanted, 1<<10); err != nil {
		return err
	}
	for _, l := range levels {
		if nameOf(l) == wanted.Level {
			s.did(r, "log level", "level", wanted.Level)
			s.facts.Level.Set(l)
			return s.logLevel(w, r)
		}
	}
	return errors.New("level is none of debug, info, warn and error; write one of them")
}
