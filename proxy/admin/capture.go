package admin

import (
	"errors"
	"log/slog"
	"math"
	"net/http"
	"os"
	"strings"

	"switchyard/proxy/capture"
)

// capture streams a recording for as long as the client reads. The query has tenant, commands
// and redact, each any number of times, bodies, and the limits pdus, bytes and time.
//
//	a limit, or Close               the file ends with statistics that say why
//	the client reads too slowly     the answer is cut off after clientTimeout
//	the client has left             the recording ends
//
// The hub waits for none of that: what does not fit into the recording's buffer is counted as missed.
func (s *Server) capture(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, []string{"tenant", "commands", "redact"}, "bodies", "pdus", "bytes", "time")
	if err != nil {
		return err
	}
	o, err := readOptions(q)
	if err != nil {
		return err
	}
	sources, err := s.sources(q.Values["tenant"])
	if err != nil {
		return err
	}
	if err := s.captures.acquire("captures are under way; end one of them"); err != nil {
		return err
	}
	defer s.captures.release()
	out := s.stream(w)
	clearDeadlines(w)
	s.logFew(slog.LevelInfo, "capture begins", "client", callerOf(r).name, "tenants", sourceNames(sources), "bodies", o.Bodies)
	w.Header().Set("Content-Type", "application/x-pcapng")
	made, _, _ := strings.Cut(s.options.Version, "\n")
	err = capture.Run(r.Context(), out, made, sources, o)
	attributes := []any{"tenants", sourceNames(sources), "bytes", out.bytes}
	switch {
	case err == nil:
		s.logFew(slog.LevelInfo, "capture ends", attributes...)
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.logFew(slog.LevelWarn, "capture cut off: it was not taken in time", attributes...)
	default:
		s.logFew(slog.LevelInfo, "capture ends: the client has gone", append(attributes, "error", err)...)
	}
	panic(http.ErrAbortHandler) // so that a client that is still connected notices the cut
}

// sources returns the tenants of those names; all if there are none.
func (s *Server) sources(names []string) (sources []capture.Source, err error) {
	tenants, err := s.tenantsNamed(names)
	for _, t := range tenants {
		sources = append(sources, capture.Source{Name: t.Name, Hub: t.Hub()})
	}
	return sources, err
}

// sourceNames returns the names of tenants, for the log.
func sourceNames(sources []capture.Source) (names []string) {
	for _, s := range sources {
		names = append(names, s.Name)
	}
	return names
}

// readOptions reads the query of a capture, but for its tenants, which sources reads.
func readOptions(q *parameters) (o capture.Options, err error) {
	for _, text := range q.Values["redact"] {
		f, err := capture.ParseField(text)
		if err != nil {
			return o, err
		}
		o.Redact = append(o.Redact, f)
	}
	o.Commands, o.Bodies, o.PDUs = q.commands("commands"), q.truth("bodies"), q.number("pdus", 0, 0, math.MaxUint64)
	o.Bytes, o.Time = int64(q.number("bytes", 0, 0, math.MaxInt64)), q.duration("time")
	return o, q.err
}
