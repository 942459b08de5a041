package admin

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// The two questions differ in who acts on the answer. A supervisor restarts a server that is not
// alive, which costs every peer its connection, so only a stalled log makes it so. A load balancer
// sends new connections elsewhere if the server is not ready: also while it drains, and when
// file descriptors have run out.

// livez answers whether PDUs move through all tenants' logs.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) error {
	if err := s.options.Probes.Alive(s.backend.State().Tenants); err != nil {
		return answerHealth(w, false, err.Error()+"\n")
	}
	return answerHealth(w, true, "")
}

// A check is one condition for sending connections to this server.
type check struct {
	name string
	err  error // nil if it is met
}

// readyz answers whether connections should be sent to this server.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	ready := true
	var text strings.Builder
	for _, c := range s.checks() {
		if c.err != nil {
			ready = false
			fmt.Fprintf(&text, "[-]%s %v\n", c.name, c.err)
		} else {
			fmt.Fprintf(&text, "[+]%s ok\n", c.name)
		}
	}
	if ready && !r.URL.Query().Has("verbose") {
		text.Reset()
	}
	return answerHealth(w, ready, text.String())
}

var errDraining = errors.New("the server stops")

// checks returns the conditions of being ready, in the order in which they are listed.
func (s *Server) checks() []check {
	state := s.backend.State()
	draining := check{name: "not draining"}
	if state.Draining {
		draining.err = errDraining
	}
	checks := []check{draining, {"descriptors", descriptorsLeft()}}
	for _, l := range state.Listeners {
		checks = append(checks, check{name: "listener " + l.Address})
	}
	_, errs := s.options.Probes.probeAll(state.Tenants)
	for i, err := range errs {
		t := state.Tenants[i]
		checks = append(checks, check{"tenant " + t.Name, errors.Join(err, t.Served.Ready())})
	}
	return checks
}

// descriptorsLeft returns an error if the process cannot open another file or socket.
func descriptorsLeft() error {
	f, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("%w; raise the limit of open files (ulimit -n, LimitNOFILE)", err)
	}
	return f.Close()
}

// answerHealth answers by the status, for programs, and in text, for people.
func answerHealth(w http.ResponseWriter, good bool, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if !good {
		w.WriteHeader(http.StatusServiceUnavailable)
	} else if text == "" {
		text = "ok\n"
	}
	fmt.Fprint(w, text)
	return nil
}
