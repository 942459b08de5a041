package admin

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
)

// What operators do to the server. Each of it is logged, with who asked.

// Results of a reload.
const (
	Added     = "added"
	Changed   = "changed"
	Unchanged = "unchanged"
	Refused   = "refused"
	Removed   = "removed"
	Plain     = "plain" // a listener without a certificate
)

// A Reload is what came of one.
type Reload struct {
	OK            bool                `json:"ok"`
	Error         string              `json:"error"`
	Configuration ReloadConfiguration `json:"configuration"`
	Listeners     []ReloadListener    `json:"listeners"`
	Tenants       []ReloadTenant      `json:"tenants"`
}

// A ReloadConfiguration is what came of the configuration's file.
type ReloadConfiguration struct {
	Result  string   `json:"result"`
	Changed []string `json:"changed"` // keys
	Restart []string `json:"restart"` // keys that changed and wait for a restart
	Error   string   `json:"error"`
}

// A ReloadListener is what came of a listener's certificate.
type ReloadListener struct {
	Listener string `json:"listener"`
	Result   string `json:"result"`
	Error    string `json:"error"`
}

// A ReloadTenant is what came of a tenant's policy, and of the audited one.
type ReloadTenant struct {
	Tenant     string `json:"tenant"`
	Result     string `json:"result"`
	Policy     Policy `json:"policy"`
	Error      string `json:"error"`
	AuditError string `json:"audit_error"`
}

// Sum works out OK and Error, and leaves no list nil.
func (r *Reload) Sum() {
	c := &r.Configuration
	c.Changed, c.Restart = append([]string{}, c.Changed...), append([]string{}, c.Restart...)
	r.Listeners, r.Tenants = append([]ReloadListener{}, r.Listeners...), append([]ReloadTenant{}, r.Tenants...)
	var what []string
	note := func(about, err string) {
		if err != "" {
			what = append(what, about)
		}
	}
	note("configuration", c.Error)
	for _, l := range r.Listeners {
		note("certificate of listener "+l.Listener, l.Error)
	}
	for _, t := range r.Tenants {
		note("policy of tenant "+t.Tenant, t.Error)
		note("audit of tenant "+t.Tenant, t.AuditError)
	}
	r.OK = len(what) == 0
	if r.Error = ""; !r.OK {
		r.Error = "refused: " + strings.Join(what, ", ") + "; what was in force goes on"
	}
}

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
	return answer(w, http.StatusAccepted, map[string]any{"draining": true, "timeout_seconds": limit.Seconds()})
}

type levelAnswer struct {
	Level      string `json:"level"`
	Configured string `json:"configured"`
}

func (s *Server) logLevel(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, http.StatusOK, levelAnswer{nameOf(s.facts.Level.Level()), nameOf(s.facts.Configured())})
}

// levels are those that there are.
var levels = []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

func nameOf(l slog.Level) string { return strings.ToLower(l.String()) }

// setLogLevel has more or less logged from now on.
func (s *Server) setLogLevel(w http.ResponseWriter, r *http.Request) error {
	var wanted levelAnswer
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
