//go:build full || race

package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"switchyard/policy/sanitize"
)

// Any wrong answer becomes an error that says what to do, in bounded time and memory.
func TestWrongAnswers(t *testing.T) {
	forever := strings.Repeat("x", 1<<20)
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		want    []string
		refusal bool
	}{
		"older server": {http.NotFound, []string{"has no /api/v1/", "older than this command", "upgrade"}, false},
		"no such tenant": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			fmt.Fprint(w, `{"error":"unknown tenant \"x\"; known tenants: a, b"}`)
		}, []string{"404", `unknown tenant "x"; known tenants: a, b`}, true},
		"no token": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(401)
			fmt.Fprint(w, `{"error":"this needs a token"}`)
		}, []string{"this needs a token", "--token-file", TokenVariable}, true},
		"hostile": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			fmt.Fprint(w, "{\"error\":\"\\u001b]0;title\\u0007 \u009b2J \u202eevil\"}")
		}, []string{`\u001b]0;title\u0007 \u009b2J \u202eevil`}, true},
		"too many":  {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "16 streams", http.StatusTooManyRequests) }, []string{"16 streams"}, false},
		"broken":    {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oh", http.StatusInternalServerError) }, []string{"500", "oh"}, false},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) }, []string{"302"}, false},
		"garbage":   {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>\n\n") }, []string{"does not speak as switchyard does"}, false},
		"odd JSON":  {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[]") }, []string{"does not speak"}, false},
		"without end": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, forever)
			}
		}, []string{"does not speak"}, false},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(" "))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, []string{"EOF"}, false},
		"endless refusal": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(403)
			for r.Context().Err() == nil {
				io.WriteString(w, forever)
			}
		}, []string{"403"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, Target{Address: listen(t, c.answer)}, patient)
			_, snapshot := client.Snapshot(t.Context())
			_, connections := client.Connections(t.Context(), nil, "id", 1)
			for _, err := range []error{snapshot, connections} {
				if err == nil {
					t.Fatal("no error")
				}
				for _, want := range c.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("it says %q, want %q", err, want)
					}
				}
				if _, is := errors.AsType[*Refusal](err); is != c.refusal {
					t.Errorf("that %q is a refusal is %t, want %t", err, is, c.refusal)
				}
				if text := err.Error(); sanitize.Lines(text) != text {
					t.Errorf("a terminal would obey %q", text)
				}
				if len(err.Error()) > 2*maxRefusal {
					t.Errorf("it says %d bytes", len(err.Error()))
				}
			}
		})
	}
}
