package admin

import (
	"net/http"
	"os"
	"strings"
	"time"

	"switchyard/proxy/admin/api"
)

// server answers with what the process is, and what the client may do to it.
func (s *Server) server(w http.ResponseWriter, r *http.Request) error {
	state, now := s.backend.State(), time.Now()
	line, _, _ := strings.Cut(s.options.Version, "\n")
	a := api.Server{Version: strings.TrimPrefix(line, "switchyard "), PID: os.Getpid(), Started: s.options.Started.UTC(), UptimeSeconds: now.Sub(s.options.Started).Seconds(),
		Draining: state.Draining, Right: read.String(), Configuration: state.Configuration}
	a.Configuration.Restart = append([]string{}, a.Configuration.Restart...)
	if s.authorize(r, operate) == nil {
		a.Right = operate.String()
	}
	a.Host, _ = os.Hostname() // "" if the system does not tell
	return answer(w, http.StatusOK, a)
}
