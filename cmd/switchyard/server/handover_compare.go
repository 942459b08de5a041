package server

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"switchyard/proxy/config"
	"switchyard/proxy/handover"
)

// What the new process could serve with is compared with what is in force: when the offer arrives,
// and again right before the handover. Each side describes itself by texts, and the old process
// compares them.

// compare returns why the new process would not continue with what is in force. An upgrade changes the
// program and nothing else: other policies, clusters and sockets need a reload or a restart first.
// All differences are returned at once, each with its remedy.
func (srv *server) compare(o handover.Offer) error {
	faults := slices.Concat(srv.differentPolicies(o.Policies), srv.differentClusters(o.Clusters), differentSockets(socketsOf(srv.config), o.Sockets))
	sessions := uint64(0)
	for _, s := range srv.tenants {
		sessions += uint64(s.tenant.Hub().Counts().Sessions)
	}
	if need := sessions + spareDescriptors; o.Descriptors < need {
		faults = append(faults, fmt.Errorf("it may have %d descriptors open and needs %d; raise the limit (LimitNOFILE, ulimit -n), then restart", o.Descriptors, need))
	}
	return errors.Join(faults...)
}

// differentPolicies returns the tenants for which the new process would put another policy in force.
func (srv *server) differentPolicies(offered map[string]string) (faults []error) {
	names := slices.AppendSeq(slices.Collect(maps.Keys(srv.tenants)), maps.Keys(offered))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		s, there := srv.tenants[name], offered[name]
		switch {
		case s == nil:
			faults = append(faults, fmt.Errorf("tenant %s is in its configuration and not served here; reload, then ask again", name))
		case there == "":
			faults = append(faults, fmt.Errorf("tenant %s is served here and not in its configuration; reload, then ask again", name))
		case there == offeredPolicy(s.policy):
		case s.policy.drift == driftKilled:
			faults = append(faults, fmt.Errorf("tenant %s: it would end the kill, which is not in its history of policies (releases.state); end it with 'switchyard policy revive', then ask again", name))
		default:
			now, _ := recordOf(s.policy)
			faults = append(faults, fmt.Errorf("tenant %s: it would put another policy in force than %s; reload, or bring the file back, then ask again", name, now.Short()))
		}
	}
	return faults
}

// offeredPolicy describes a policy so that both processes can compare it. The new one knows a kill
// only from the history of policies, which it may not have: the shipped policy would be in force
// as if the configuration named it, until the next reload.
func offeredPolicy(c candidate) string {
	record, _ := recordOf(c)
	if c.drift == driftKilled {
		return record.Identity + ", after a kill"
	}
	return record.Identity
}

// socketsOf describes the sockets of a configuration, one text for each, so that they can be
// compared. The texts are a part of the handover's format: both programs have to write them alike.
func socketsOf(c *config.Config) []string {
	kind := ""
	if c.Admin.TLS.Certificate != "" {
		kind = ", TLS"
	}
	sockets := []string{"admin address " + cmp.Or(c.Admin.Address, "none") + kind, "admin socket " + cmp.Or(c.File(c.Admin.Socket), "none")}
	if c.Metrics.Address != "" {
		sockets = append(sockets, "metrics address "+c.Metrics.Address)
	}
	for _, l := range c.Listeners {
		kind := "plain"
		if l.TLS.Certificate != "" {
			kind = "TLS"
		}
		sockets = append(sockets, fmt.Sprintf("listener %s at %s, %s", l.Name, l.Address, kind))
	}
	return sockets
}

// differentSockets returns an error if the sockets are not the same.
func differentSockets(here, there []string) []error {
	without := func(a, b []string) string {
		only := slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
		return cmp.Or(strings.Join(only, "; "), "nothing")
	}
	if slices.Equal(slices.Sorted(slices.Values(here)), slices.Sorted(slices.Values(there))) {
		return nil
	}
	return []error{fmt.Errorf("its configuration has other addresses: %s instead of %s; reload, or restart if an admin address has changed", without(there, here), without(here, there))}
}
