package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"switchyard/proxy/admin/api"
)

// What 'policy status --wait' says of a policy that a server answers about in turn; the last answer
// is repeated.
func TestWaitForPolicy(t *testing.T) {
	t.Parallel()
	const sum = "5be2a1c4"
	wanted, other := api.ReleasedPolicy{SHA256: sum + "00"}, api.ReleasedPolicy{SHA256: "1fbd0280"}
	stage := func(p api.ReleasedPolicy) *api.ReleaseStage { return &api.ReleaseStage{Candidate: p, State: "shadow"} }
	before, during := api.Release{InForce: &other, Release: 3}, api.Release{InForce: &other, Release: 7, Stage: stage(wanted)}
	withdrawn := api.Release{InForce: &other, Release: 7}
	for name, c := range map[string]struct {
		answers []api.Release
		exit    int
		says    string
	}{
		"done":            {[]api.Release{before, during, {InForce: &wanted}}, 0, ""},
		"rolled back":     {[]api.Release{during, {InForce: &other, Held: []api.ReleasedPolicy{wanted}}}, 1, "was rolled back; let it in with 'switchyard policy retry'"},
		"withdrawn":       {[]api.Release{before, during, withdrawn}, 1, "was withdrawn or superseded"},
		"superseded":      {[]api.Release{during, {InForce: &other, Release: 8, Stage: stage(other)}}, 1, "was withdrawn or superseded"},
		"upgraded":        {[]api.Release{during, before, during, {InForce: &wanted, Release: 7}}, 0, ""},
		"killed":          {[]api.Release{during, {InForce: &other, Killed: true}}, 1, "policy revive"},
		"refused":         {[]api.Release{before, {InForce: &other, Refused: "table gate: no"}}, 1, "refused: table gate: no"},
		"not yet":         {[]api.Release{during}, exitNotYet, "is not in force after 500ms"},
		"not yet begun":   {[]api.Release{before}, exitNotYet, "is not in force after 500ms"},
		"of many tenants": {nil, exitUsage, "name one by --tenant"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				all := api.Releases{Releases: make([]api.Release, 2)}
				if len(c.answers) > 0 {
					all.Releases = []api.Release{c.answers[min(asked, len(c.answers)-1)]}
				}
				asked++
				w.Header().Set("Content-Type", "application/json")
				json.NewEncoder(w).Encode(all)
			}))
			defer server.Close()
			timeout := "60s"
			if c.exit == exitNotYet {
				timeout = "500ms"
			}
			_, stderr := runIn(t, t.TempDir(), c.exit, "policy", "status", "--wait", "--sha256", sum, "--timeout", timeout,
				"--set", "admin.socket=", "--set", "admin.address="+strings.TrimPrefix(server.URL, "http://"))
			if !strings.Contains(stderr, c.says) {
				t.Errorf("it says %q, want %q", stderr, c.says)
			}
		})
	}
}
