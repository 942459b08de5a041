package admin

import (
	"net/http"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/review"
	"switchyard/proxy/hub"
)

type routesAnswer struct {
	Tenant   string        `json:"tenant"`
	Policy   Policy        `json:"policy"`
	Routes   []routeAnswer `json:"routes"`
	Warnings []string      `json:"warnings"`
}

// routeAnswer is a row of the routing table with what came of it.
type routeAnswer struct {
	Command string `json:"command"`
	First   uint16 `json:"first"`
	Last    uint16 `json:"last"`
	Known   bool   `json:"known"`
	Alike   bool   `json:"alike"`
	review.Scope
	Decision review.Decision          `json:"decision"`
	PDUs     uint64                   `json:"pdus"`
	Bytes    uint64                   `json:"bytes"`
	Rate     float64                  `json:"rate"`
	Actions  map[policy.Action]uint64 `json:"actions"`
}

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
	a := routesAnswer{Tenant: t.Name, Policy: Policy{g.Name, g.SHA256}, Routes: []routeAnswer{}, Warnings: append([]string{}, table.Warnings()...)}
	traffic := traffic{said: make(map[pdu.CommandID]hub.CommandStats), rates: s.sampler.of(t).commandRates}
	for _, said := range t.Hub().CommandStats() {
		traffic.said[said.Command] = said
	}
	for _, row := range table.Rows() {
		a.Routes = append(a.Routes, traffic.route(row))
	}
	for i, rest := range table.Rest() {
		row := routeAnswer{Command: review.Else, Last: 0xffff, Scope: rest.Scope, Decision: rest.Decision, Actions: map[policy.Action]uint64{}}
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

func (t traffic) route(row review.Row) routeAnswer {
	r := routeAnswer{Command: row.Command, First: row.First, Last: row.Last, Known: row.Known, Alike: row.Alike,
		Scope: row.Scope, Decision: row.Decision, Actions: map[policy.Action]uint64{}}
	if !row.Known {
		return r
	}
	return t.put(r, pdu.CommandID(row.First))
}

func (t traffic) put(r routeAnswer, c pdu.CommandID) routeAnswer {
	said := t.said[c]
	r.PDUs, r.Bytes, r.Rate = said.PDUs, said.Bytes, t.rates[c]
	if said.Actions != nil {
		r.Actions = said.Actions
	}
	return r
}
