package admin

import (
	"net/http"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/review"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/hub"
)

// routes tells the routing table of a tenant, which is found out by asking its policy,
// and what peers have said of each command.
func (s *Server) routes(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "tenant")
	if err != nil {
		return err
	}
	t, err := s.tenant(q.Get("tenant"))
	if err != nil {
		return err
	}
	takesLong(w)
	if err := s.begin(r); err != nil {
		return err
	}
	defer s.heavy.leave()
	s.sampler.want()
	g, err := look(t)
	if err != nil {
		return err
	}
	defer g.Release()
	table := review.Extract(held{g})
	a := api.Routes{Tenant: t.Name, Policy: identify(g), Routes: []api.Route{}, Warnings: append([]string{}, table.Warnings()...)}
	traffic := traffic{said: make(map[pdu.CommandID]hub.CommandStats), rates: s.sampler.of(t).commandRates}
	for _, said := range t.Hub().CommandStats() {
		traffic.said[said.Command] = said
	}
	for _, row := range table.Rows() {
		a.Routes = append(a.Routes, traffic.route(row))
	}
	for i, rest := range table.Rest() {
		row := api.Route{Command: review.Else, Last: 0xffff, Scope: rest.Scope, Decision: rest.Decision, Actions: map[string]uint64{}}
		if i == 0 { // what is counted is not told apart by services
			row = traffic.put(row, 0)
		}
		a.Routes = append(a.Routes, row)
	}
	s.inTime(w)
	return answer(w, http.StatusOK, a)
}

// held asks a generation's policy what it says by ids, and holds it to what it may do,
// without its counting as a fault.
type held struct{ generation *policy.Generation }

func (h held) Classify(s pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	v, err := h.generation.Policy().Classify(s, c)
	if err != nil {
		return v, err
	}
	v, _ = h.generation.Hold(s, c, v)
	return v, nil
}

// traffic is what peers have said, by command.
type traffic struct {
	said  map[pdu.CommandID]hub.CommandStats
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
	said := t.said[c]
	r.PDUs, r.Bytes, r.Rate = said.PDUs, said.Bytes, t.rates[c]
	r.Actions = byName(said.Actions)
	return r
}
