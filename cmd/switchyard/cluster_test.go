package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"switchyard/proxy/admin/api"
)

// The status of a hub: what is printed, and the exit code.
func TestClusterStatus(t *testing.T) {
	t.Parallel()
	good := api.ClusterTenant{Tenant: "acme", State: "together", Hub: 2, Position: api.ClusterPosition{Epoch: "9", Sequence: 48213}, TableSum: "00000000000000ab",
		Members: []api.ClusterMember{{Hub: 1, Name: "north", Ready: true, Next: 101, Policies: []string{"0a"}}, {Hub: 2, Name: "south\x1b[2J", Ready: true, Next: 7, Policies: []string{"0a", "0b"}}, {Hub: 3, Name: "west", Next: 2}}}
	alone := api.ClusterTenant{Tenant: "beta", State: "alone", Hub: 2, UnderwayRecords: 1, UnderwayBytes: 900, UnderwaySeconds: 1.5}
	for name, c := range map[string]struct {
		tenants []api.ClusterTenant
		json    bool
		exit    int
		prints  []string
		says    string
	}{
		"together": {[]api.ClusterTenant{good}, false, 0, []string{
			"TENANT  STATE     HUB  POSITION  UNDERWAY            TABLE\nacme    together  2    48213     0 records, 0 bytes  00000000000000ab\n\n",
			"acme    1       north           101   0a\n", "acme    2       south\\u001b[2J  7     0a 0b     this hub\n", "acme    3       west            2               entering\n"}, ""},
		"alone":   {[]api.ClusterTenant{good, alone}, false, exitForced, []string{"beta    alone     2    0         1 record, 900 bytes, for 1.5s\n"}, "tenant beta is alone"},
		"as JSON": {[]api.ClusterTenant{alone}, true, exitForced, []string{`"underway_seconds": 1.5`}, "tenant beta is alone"},
		"lone":    {[]api.ClusterTenant{}, false, exitForced, nil, "this server is in no cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				json.NewEncoder(w).Encode(api.Cluster{Tenants: c.tenants})
			}))
			defer server.Close()
			args := []string{"cluster", "status", "--set", "admin.socket=", "--set", "admin.address=" + strings.TrimPrefix(server.URL, "http://")}
			if c.json {
				args = append(args, "--json")
			}
			stdout, stderr := runIn(t, t.TempDir(), c.exit, args...)
			for _, want := range c.prints {
				if !strings.Contains(stdout, want) {
					t.Errorf("no %q in\n%s", want, stdout)
				}
			}
			if len(c.prints) == 0 && stdout != "" || !strings.Contains(stderr, c.says) {
				t.Errorf("it prints %q and says %q, want %q", stdout, stderr, c.says)
			}
		})
	}
}
