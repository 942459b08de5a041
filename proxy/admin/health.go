package admin

import (
	"fmt"
	"net/http"
	"strings"
)

// A Check is one of the things that have to be right for connections to come here.
type Check struct {
	Name string
	Err  error // nil if it is
}

// livez tells whether PDUs get through.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) error {
	if err := s.facts.Probes.Alive(s.facts.Tenants()); err != nil {
		return say(w, false, err.Error()+"\n")
	}
	return say(w, true, "")
}

// readyz tells whether connections should come here.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	checks := s.facts.Ready()
	tenants := s.facts.Tenants()
	_, errs := s.facts.Probes.probe(tenants)
	for i, err := range errs {
		checks = append(checks, Check{"tenant " + tenants[i].Name, err})
	}
	ready := true
	var text strings.Builder
	for _, c := range checks {
		if c.Err != nil {
			ready = false
			fmt.Fprintf(&text, "[-]%s %v\n", c.Name, c.Err)
		} else {
			fmt.Fprintf(&text, "[+]%s ok\n", c.Name)
		}
	}
	if ready && !r.URL.Query().Has("verbose") {
		text.Reset()
	}
	return say(w, ready, text.String())
}

// say answers a program that looks at the status, and a person who looks at the text.
func say(w http.ResponseWriter, good bool, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if !good {
		w.WriteHeader(http.StatusServiceUnavailable)
	} else if text == "" {
		text = "ok\n"
	}
	fmt.Fprint(w, text)
	return nil
}
