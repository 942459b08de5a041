package admin

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"switchyard/proxy/admin/api"
	"switchyard/proxy/cluster"
)

// cluster answers with what this hub is in its cluster now.
func (s *Server) cluster(w http.ResponseWriter, r *http.Request) error {
	tenants, err := s.tenantsOf(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.clientTimeout/2)
	defer cancel()
	all := api.Cluster{Tenants: []api.ClusterTenant{}}
	for _, t := range tenants {
		if t.Member == nil {
			continue
		}
		status, err := t.Member.Fresh(ctx)
		if err != nil {
			return refuse(http.StatusServiceUnavailable, "tenant %s does not answer: %v; ask again, and see /livez", t.Name, err)
		}
		all.Tenants = append(all.Tenants, clusterTenant(t.Name, status))
	}
	return answer(w, http.StatusOK, all)
}

// clusterTenant describes a tenant's member.
func clusterTenant(name string, s *cluster.Status) api.ClusterTenant {
	return api.ClusterTenant{
		Tenant: name, State: string(s.State), Why: s.Why, Hub: s.Origin.Hub, Incarnation: s.Origin.Incarnation,
		Position: api.ClusterPosition{Epoch: strconv.FormatInt(s.Position.Epoch, 10), Sequence: s.Position.Sequence},
		TableSum: hexadecimal(s.TableSum), Members: clusterMembers(s), Rules: s.Rules, QuietSeconds: s.Quiet.Seconds(),
		UnderwayRecords: s.UnderwayRecords, UnderwayBytes: s.UnderwayBytes, UnderwaySeconds: s.OldestAge.Seconds(),
		Applied: byName(s.Applied), Ignored: byName(s.Ignored), Entered: byName(s.Entered), FellOut: byName(s.FellOut),
		Gone: s.Gone, Alone: s.Counts.Alone, TableMismatches: s.Mismatches, PolicyMismatches: s.PolicyMismatches(),
	}
}

// clusterMembers describes the members as of the position that the hub has applied.
func clusterMembers(s *cluster.Status) []api.ClusterMember {
	all := []api.ClusterMember{}
	for _, m := range s.Members {
		one := api.ClusterMember{Hub: m.Hub, Incarnation: m.Incarnation, Name: m.Facts.Name, Ready: m.Ready, Next: m.Next, Policies: []string{},
			HeardSeconds: time.Since(m.Heard).Seconds(), TablePosition: m.Facts.Table.Sequence, TableSum: hexadecimal(m.Facts.Table.Sum)}
		for _, sum := range m.Facts.Policies {
			one.Policies = append(one.Policies, hexadecimal(sum))
		}
		all = append(all, one)
	}
	return all
}

// hexadecimal writes a sum for JSON, whose readers may know no integers of 64 bits.
func hexadecimal(sum uint64) string { return fmt.Sprintf("%016x", sum) }
