package metrics

import (
	"strconv"

	"switchyard/policy/histogram"
	"switchyard/proxy/cluster"
	"switchyard/proxy/order"
)

// What is emitted from zero on, as the reasons in emit.go.
var (
	states   = []cluster.State{cluster.Entering, cluster.Together, cluster.Waiting, cluster.Alone, cluster.Departed}
	fellOuts = []order.Reason{order.OtherLog, order.Overtaken, order.Incomplete, order.Disconnected}
)

// emitCluster emits the tenant's hub as a member of a cluster, and what is under way to the other
// members. Of what this hub has appended while it is a member, part is under way and the rest counts
// as applied, unless a record was lost while the hub had fallen out.
func (t *Tenant) emitCluster(emit emitFunc) {
	m := t.Member
	for _, state := range states {
		emit(clusterState, oneIf(m.State == state), t.Name, string(state))
	}
	emit(clusterMembers, float64(len(m.Members)), t.Name)
	emit(clusterPDUs, float64(t.Counts.Underway), t.Name)
	emit(clusterBytes, float64(m.UnderwayBytes), t.Name)
	emit(clusterAside, float64(t.AsideEntries), t.Name)
	emit(clusterSeconds, m.OldestAge.Seconds(), t.Name)
	emit(clusterBehind, float64(m.Log.Behind), t.Name)
	emit(clusterAppended, float64(m.Outbox.Appended), t.Name)
	emit(clusterSaidAgain, float64(m.Outbox.Again), t.Name)
	emit(clusterReadAgain, float64(m.Log.ReadAgain), t.Name)
	emit(clusterReconnect, float64(m.Log.Reconnects), t.Name)
	t.emitClusterCounts(emit)
}

// emitClusterCounts emits what the member has counted since it was made.
func (t *Tenant) emitClusterCounts(emit emitFunc) {
	m := t.Member
	for hub, n := range m.Applied {
		emit(clusterApplied, float64(n), t.Name, strconv.Itoa(int(hub)))
	}
	for why, n := range m.Ignored {
		emit(clusterIgnored, float64(n), t.Name, string(why))
	}
	for why, n := range m.Entered {
		emit(clusterEntered, float64(n), t.Name, why)
	}
	for why, n := range withZeros(m.FellOut, fellOuts) {
		emit(clusterFellOut, float64(n), t.Name, string(why))
	}
	emit(clusterGone, float64(m.Gone), t.Name)
	emit(clusterAlone, float64(m.Alone), t.Name)
	emit(clusterTables, float64(m.Mismatches), t.Name)
	emit(clusterPolicies, float64(m.PolicyMismatches()), t.Name)
}

// roundTrips returns the counts of round trips, each bucket with those below it, as Prometheus wants
// them. order counts each trip in one bucket alone.
func roundTrips(trips order.Trips) histogram.Counts {
	c := histogram.Counts{Bounds: order.TripBounds[:], Buckets: trips.Buckets[:], Count: trips.Count, Sum: trips.Sum}
	for i := 1; i < len(c.Buckets); i++ {
		c.Buckets[i] += c.Buckets[i-1]
	}
	return c
}
