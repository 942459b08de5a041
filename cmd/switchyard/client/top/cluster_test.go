package top

import (
	"strings"
	"testing"
	"time"

	"switchyard/cmd/switchyard/client/terminal"
	"switchyard/proxy/admin/api"
)

// clustered returns a report with a tenant in good order, one in trouble and one of a lone hub.
func clustered() *Report {
	members := []api.ClusterMember{{Hub: 1}, {Hub: 2}, {Hub: 3}}
	return compare("127.0.0.1:8280", nil, &sample{time.Now(), &api.Snapshot{Tenants: []api.TenantSnapshot{
		{Tenant: "acme", Cluster: &api.ClusterTenant{State: "together", Hub: 2, Members: members, Position: api.ClusterPosition{Sequence: 48213}, UnderwayBytes: 2048, QuietSeconds: 0.4}},
		{Tenant: "beta", Cluster: &api.ClusterTenant{State: "waiting", Hub: 2, Members: members, Position: api.ClusterPosition{Sequence: 7}, QuietSeconds: 12, PolicyMismatches: 1, TableMismatches: 2}},
		{Tenant: "lone"},
	}}, &api.Connections{}})
}

func TestClusterLines(t *testing.T) {
	s := clustered()
	var out strings.Builder
	if err := s.Print(&out, 5); err != nil {
		t.Fatal(err)
	}
	good := "cluster acme: hub 2 together   3 members   position 48213   under way 2.0KiB"
	bad := "cluster beta: hub 2 waiting   3 members   position 7   under way 0B   quiet for 12s   other policies at 1   tables differed 2 times"
	if got := strings.Split(out.String(), "\n")[1:4]; got[0] != good || got[1] != bad || got[2] != "" {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}

	lines := page(s, view{interval: time.Second, sort: ByRate}, 20)
	if len(lines) != 20 {
		t.Fatalf("%d lines, want 20", len(lines))
	}
	for i, want := range []terminal.Line{{{Text: good}}, {{Text: bad, Style: terminal.Alarm}}} {
		if got := lines[i+1]; len(got) != 1 || got[0] != want[0] {
			t.Errorf("line %d is %+v, want %+v", i+1, got, want)
		}
	}
}

// The page of a lone hub has no word of a cluster.
func TestNoClusterLines(t *testing.T) {
	s := clustered()
	s.Tenants = s.Tenants[2:]
	var out strings.Builder
	if err := s.Print(&out, 5); err != nil || strings.Contains(out.String(), "cluster") {
		t.Errorf("got %v\n%s", err, out.String())
	}
}
