package top

import (
	"fmt"
	"strings"
)

// A clusterLine is what the hub of one tenant is in its cluster, in one line above the tables:
//
//	cluster acme: hub 1 together   3 members   position 4711   under way 12.0KiB
//
// It is an alarm if this hub does not act together with the others.
type clusterLine struct {
	text  string
	alarm bool
}

// clusters returns a line for each tenant that several hubs serve as one. What is as it should be,
// such as equal tables, is left out.
func (s *Report) clusters() (lines []clusterLine) {
	for _, t := range s.Tenants {
		c := t.Cluster
		if c == nil {
			continue
		}
		parts := []string{fmt.Sprintf("cluster %s: hub %d %s", t.Tenant, c.Hub, c.State)}
		if len(c.Members) > 0 {
			parts = append(parts, fmt.Sprintf("%d members", len(c.Members)))
		}
		parts = append(parts, fmt.Sprintf("position %d", c.Position.Sequence), "under way "+Bytes(float64(c.UnderwayBytes)))
		if c.QuietSeconds >= 1 {
			parts = append(parts, "quiet for "+since(c.QuietSeconds))
		}
		if c.PolicyMismatches > 0 {
			parts = append(parts, fmt.Sprintf("other policies at %d", c.PolicyMismatches))
		}
		if c.TableMismatches > 0 {
			parts = append(parts, fmt.Sprintf("tables differed %d times", c.TableMismatches))
		}
		lines = append(lines, clusterLine{strings.Join(parts, "   "), c.State != "together" || c.PolicyMismatches > 0})
	}
	return lines
}
