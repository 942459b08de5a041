package admin

import (
	"net/http"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/review"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/hub"
)

// routes answers with the routing table of a tenant, which is extracted by asking its policy,
// and the traffic of each command.
func (s *Server) routes(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "tenant")
	if err != nil {
		return err
	}
	t, err := s.tenant(q.Get("tenant"))
	if err != nil {
		return err
	}
	clearDeadlines(w)
	if err := s.acquirePolicyCall(r); err != nil {
		return err
	}
	defer s.policyCalls.release()
	s.sampler.keepFresh()
	g, err := acquire(t)
	if err != nil {
		return err
	}
	defer g.Release()
	table := review.Extract(limitedPolicy{g})
	a := api.Routes{Tenant: t.Name, Policy: identify(g), Routes: []api.Route{}, Warnings: append([]string{}, table.Warnings()...)}
	traffic := traffic{stats: make(map[pdu.CommandID]hub.CommandStats), rates: s.sampler.of(t).commandRates}
	for _, c := range t.Hub().CommandStats() {
		traffic.stats[c.Command] = c
	}
	for _, row := range table.Rows() {
		a.Routes = append(a.Routes, traffic.route(row))
	}
	for i, rest := range table.Rest() {
		row := api.Route{Command: review.Else, Last: 0xffff, Scope: rest.Scope, Decision: rest.Decision, Actions: map[string]uint64{}}
		if i == 0 { // counts do not distinguish services
			row = traffic.put(row, 0)
		}
		a.Routes = append(a.Routes, row)
	}
	s.extendWriteDeadline(w)
	return answer(w, http.StatusOK, a)
}

// A limitedPolicy is a generation's policy, held to the tenant's may settings. Asking it counts
// no faults.
type limitedPolicy struct{ generation *policy.Generation }

func (h limitedPolicy) Classify(s pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	v, err := h.generation.Policy().Classify(s, c)
	if err != nil {
		return v, err
	}
	v, _ = h.generation.Enforce(s, c, v)
	return v, nil
}

// traffic is what peers have sent, by command.
type traffic struct {
	stats map[pdu.CommandID]hub.CommandStats
	rates map[pdu.CommandID]float64
}

func (t traffic) route(row review.Row) api.Route {
	r := api.Route{Command: row.Command, First: row.First, Last: row.Last, Known: row.Known, Alike: row.Alike,
		Scope: row.Scope, Decision: row.Decision, Actions: map[string]uint64{}}
	if !row.Known {
		return r
	}
	return t.put(r, pdu.CommandID(row.First))
}

func (t traffic) put(r api.Route, c pdu.CommandID) api.Route {
	stats := t.stats[c]
	r.PDUs, r.Bytes, r.Rate = stats.PDUs, stats.Bytes, t.rates[c]
	r.Actions = byName(stats.Actions)
	return r
}
