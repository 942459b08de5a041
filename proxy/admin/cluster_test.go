package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"switchyard/proxy/admin/api"
	"switchyard/proxy/cluster"
	"switchyard/proxy/order"
)

// A fakeMember was something a moment ago, and is it or something else now.
type fakeMember struct {
	was, is *cluster.Status
	err     error // instead of is
}

func (m fakeMember) Status() *cluster.Status { return m.was }

func (m fakeMember) Fresh(context.Context) (*cluster.Status, error) { return m.is, m.err }

// memberStatus has a value for every property.
func memberStatus() *cluster.Status {
	member := func(hub uint16, sums ...uint64) order.Member {
		return order.Member{Origin: order.Origin{Hub: hub, Incarnation: 70}, Ready: true, Next: 100 + uint64(hub), Heard: time.Now().Add(-3 * time.Second),
			Facts: order.Facts{Name: "north", Policies: sums, Table: order.TableSum{Position: order.Position{Sequence: 5}, Sum: 0xcd}}}
	}
	return &cluster.Status{State: cluster.Together, Why: "start", Origin: order.Origin{Hub: 2, Incarnation: 70}, Position: order.Position{Epoch: 1<<60 + 1, Sequence: 9}, TableSum: 0xab,
		Members: []order.Member{member(1, 0xa), member(2, 0xa, 0xb), member(3, 0xc)}, Rules: 1, Quiet: 250 * time.Millisecond,
		Counts: cluster.Counts{Applied: map[uint16]uint64{1: 5, 2: 6}, Ignored: map[order.Ignored]uint64{order.Doubled: 1}, Entered: map[string]uint64{"start": 1},
			FellOut: map[order.Reason]uint64{order.Overtaken: 2}, Gone: 3, Alone: 4},
		Mismatches: 7, UnderwayRecords: 8, UnderwayBytes: 900, OldestAge: time.Minute}
}

// The answer is of now, and the snapshot of a moment ago.
func TestCluster(t *testing.T) {
	before := memberStatus()
	before.State, before.Members = cluster.Entering, nil
	f := startMember(t, fakeMember{was: before, is: memberStatus()})
	var all api.Cluster
	f.tell("/api/v1/cluster", &all)
	if len(all.Tenants) != 1 {
		t.Fatalf("got %+v", all)
	}
	one := all.Tenants[0]
	if one.Tenant != "default" || one.State != "together" || one.Hub != 2 || one.Position != (api.ClusterPosition{Epoch: "1152921504606846977", Sequence: 9}) || one.TableSum != "00000000000000ab" ||
		one.Applied["1"] != 5 || one.Ignored["doubled"] != 1 || one.FellOut["behind"] != 2 || one.UnderwaySeconds != 60 || one.PolicyMismatches != 1 || one.TableMismatches != 7 {
		t.Errorf("got %+v", one)
	}
	if len(one.Members) != 3 || one.Members[1].Next != 102 || one.Members[1].Name != "north" || one.Members[1].Policies[1] != "000000000000000b" ||
		one.Members[1].HeardSeconds < 3 || one.Members[1].TablePosition != 5 || one.Members[1].TableSum != "00000000000000cd" {
		t.Errorf("got members %+v", one.Members)
	}
	var s api.Snapshot
	f.tell("/api/v1/snapshot", &s)
	if got := s.Tenants[0].Cluster; got == nil || got.State != "entering" || len(got.Members) != 0 {
		t.Errorf("the snapshot has %+v", got)
	}
}

// A lone hub is in no cluster, and its answers have no word of one.
func TestClusterOfLoneHub(t *testing.T) {
	f := start(t, patient)
	var own api.Cluster
	if f.tell("/api/v1/cluster", &own); own.Tenants == nil || len(own.Tenants) > 0 {
		t.Errorf("got %+v", own)
	}
	for _, path := range []string{"/api/v1/snapshot", "/api/v1/tenants"} {
		var all struct{ Tenants []map[string]json.RawMessage }
		f.tell(path, &all)
		for _, name := range []string{"cluster", "underway"} {
			if _, ok := all.Tenants[0][name]; ok {
				t.Errorf("%s has %s", path, name)
			}
		}
	}
}

// A tenant that is frozen does not answer.
func TestClusterSilent(t *testing.T) {
	f := startMember(t, fakeMember{was: memberStatus(), err: errors.New("the tenant is closed")})
	r := f.ask("GET", "/api/v1/cluster")
	if text := f.read(r); r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got %d %s", r.StatusCode, text)
	}
}

// startMember starts a server whose tenant has a hub that is a member.
func startMember(t *testing.T, m Member) *fixture {
	t.Helper()
	return startAt(t, patient, Options{}, func(facts *fake) { facts.state.Tenants[0].Member = m }, listen(t, "tcp", "127.0.0.1:0"))
}
