package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What a query says wrong, and a parameter that it says twice, is refused with what to write.
func TestBadQueries(t *testing.T) {
	t.Parallel()
	f := start(t, patient)
	for path, want := range map[string]string{
		"/api/v1/connections?limit=1&limit=2":            "limit is there 2 times; name one",
		"/api/v1/routes?tenant=default&tenant=acme":      "tenant is there 2 times; name one",
		"/api/v1/policies/compare?before=00":             "the query has no after; write after=SHA256",
		"/api/v1/capture?bytes=-1":                       "bytes=-1: write a whole number",
		"/api/v1/capture?pdus=1e3":                       "pdus=1e3: write a whole number",
		"/api/v1/capture?bodies=yes":                     "bodies=yes: write true or false",
		"/api/v1/capture?time=-1s":                       "time=-1s: write a time such as 30s",
		"/api/v1/capture?time=1s&time=2s":                "time is there 2 times; name one",
		"/api/v1/tap?session=1&session=2":                "session is there 2 times; name one",
		"/api/v1/connections?tenant=default&tenant=acme": "known tenants: default",
	} {
		r := f.ask("GET", path)
		if got := errorOf(t, r, f.read(r)); !strings.Contains(got, want) {
			t.Errorf("%s: %d %q, want %q", path, r.StatusCode, got, want)
		}
	}
}

// Of several faults, a query always has the same one.
func TestFaultOfAQuery(t *testing.T) {
	t.Parallel()
	for range 20 {
		r := httptest.NewRequest(http.MethodGet, "/?x=1&limit=1&limit=2&session=1&session=2&bodys=1", nil)
		if _, err := query(r, nil, "limit", "session"); err == nil || !strings.HasPrefix(err.Error(), `unknown part "bodys"`) {
			t.Fatalf("got %v", err)
		}
	}
}
