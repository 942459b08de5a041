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

// A health asks a server how it is.
type health struct {
	backend Backend
	probes  *Probes
}

// livez answers whether PDUs move through all tenants' logs.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) error {
	if err := s.health.alive(); err != nil {
		return answerHealth(w, false, err.Error()+"\n")
	}
	return answerHealth(w, true, "")
}

// alive returns an error if PDUs do not move through all tenants' logs.
func (h health) alive() error { return h.probes.Alive(h.backend.State().Tenants) }

// A check is one condition for sending connections to this server.
type check struct {
	name string
	err  error // nil if it is met
}

// readyz answers whether connections should be sent to this server.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	ready := true
	var text strings.Builder
	for _, c := range s.health.checks() {
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

// ready returns an error if connections should not be sent to this server.
func (h health) ready() error {
	var errs []error
	for _, c := range h.checks() {
		errs = append(errs, c.err)
	}
	return errors.Join(errs...)
}

var errDraining = errors.New("the server stops")

// checks tries all conditions of being ready, even if one is not met, so that an operator sees all at
// once. They are in the order in which they are listed. A listener that is listed is open, so its
// condition is always met: it is there for people.
func (h health) checks() []check {
	state := h.backend.State()
	draining := check{name: "not draining"}
	if state.Draining {
		draining.err = errDraining
	}
	checks := []check{draining, {"descriptors", descriptorsLeft()}}
	for _, l := range state.Listeners {
		checks = append(checks, check{name: "listener " + l.Address})
	}
	_, errs := h.probes.probeAll(state.Tenants)
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
	switch {
	case !good:
		w.WriteHeader(http.StatusServiceUnavailable)
		if text == "" {
			text = "unavailable\n"
		}
	case text == "":
		text = "ok\n"
	}
	fmt.Fprint(w, text)
	return nil
}
