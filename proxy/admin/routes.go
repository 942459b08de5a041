package admin

import (
	"context"
	"net/http"
	"slices"
	"time"

	"switchyard/pdu"
	"switchyard/policy/review"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/hub"
)

// reviewTime is how long a policy may take to answer all questions about its table.
const reviewTime = 10 * time.Second

// routes answers with the routing table of a tenant, which is extracted by asking its policy,
// and the traffic of each command.
func (s *Server) routes(w http.ResponseWriter, r *http.Request) error {
	_, t, err := s.tenantQuery(r)
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
	ctx, cancel := context.WithTimeout(r.Context(), reviewTime)
	defer cancel()
	p := review.InForce{Generation: g}
	table := review.NewQuestions(g.SeenServices(), p).Extract(ctx, p)
	a := api.Routes{Tenant: t.Name, Policy: identify(g), Routes: []api.Route{}, Asked: table.Asked(), Warnings: append([]string{}, table.Warnings()...)}
	rows := table.Rows()
	traffic := newTraffic(t.Hub(), s.sampler.of(t), rows)
	for _, row := range rows {
		a.Routes = append(a.Routes, traffic.route(row))
	}
	for i, rest := range table.Rest() {
		row := api.Route{Command: review.Else, Last: 0xffff, Scope: rest.Scope, Decision: rest.Decision, Actions: map[string]uint64{}}
		if i == 0 { // counts do not distinguish services
			row = traffic.put(row, traffic.rest)
		}
		a.Routes = append(a.Routes, row)
	}
	s.extendWriteDeadline(w)
	return answer(w, http.StatusOK, a)
}

// traffic is what peers have sent, by command. The hub counts by command and not by service, so rows of
// one command below several services show the same figures. rest holds the unknown commands that have no
// row.
type traffic struct {
	known   map[pdu.CommandID]api.CommandTraffic
	unknown []api.CommandTraffic
	rest    api.CommandTraffic
}

// newTraffic sorts the traffic of a hub by the rows of a table that show it.
func newTraffic(h *hub.Hub, s *sample, rows []review.Row) traffic {
	t := traffic{known: make(map[pdu.CommandID]api.CommandTraffic)}
	for _, c := range trafficOf(h, s) {
		_, known := pdu.CommandByID(pdu.CommandID(c.ID))
		hasRow := func(r review.Row) bool { return !r.Known && r.First <= c.ID && c.ID <= r.Last }
		switch {
		case known:
			t.known[pdu.CommandID(c.ID)] = c
		case slices.ContainsFunc(rows, hasRow):
			t.unknown = append(t.unknown, c)
		default:
			add(&t.rest, c)
		}
	}
	return t
}

// The hub counts known commands one by one, and of the unknown ones those that came first. So the
// traffic of a row of unknown commands, such as 0x0720-0x072f, is the sum of those among them that
// the hub counts by id; the others count for else.

// add adds the traffic of a command to a sum.
func add(sum *api.CommandTraffic, c api.CommandTraffic) {
	sum.PDUs += c.PDUs
	sum.Bytes += c.Bytes
	sum.Rate += c.Rate
	if sum.Actions == nil {
		sum.Actions = make(map[string]uint64)
	}
	for action, n := range c.Actions {
		sum.Actions[action] += n
	}
}

// route returns a row of the table with the traffic of its commands.
func (t traffic) route(row review.Row) api.Route {
	r := api.Route{Command: row.Command, First: row.First, Last: row.Last, Known: row.Known, Alike: row.Alike,
		Scope: row.Scope, Decision: row.Decision, Actions: map[string]uint64{}}
	if row.Known {
		return t.put(r, t.known[pdu.CommandID(row.First)])
	}
	var sum api.CommandTraffic
	for _, c := range t.unknown {
		if row.First <= c.ID && c.ID <= row.Last {
			add(&sum, c)
		}
	}
	return t.put(r, sum)
}

// put adds traffic to a row. Actions is never null in JSON.
func (t traffic) put(r api.Route, c api.CommandTraffic) api.Route {
	r.PDUs, r.Bytes, r.Rate = c.PDUs, c.Bytes, c.Rate
	if c.Actions != nil {
		r.Actions = c.Actions
	}
	return r
}
