package admin

import (
	"cmp"
	"crypto/tls"
	"math"
	"net/http"
	"slices"

	"switchyard/policy"
	"switchyard/proxy"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/certificate"
)

// How many sessions are listed.
const (
	defaultConnections   = 100
	maxConnectionsListed = 10_000
)

// connectionsOf lists sessions. A tenant may have ten thousand of them, so a request first collects what
// costs little of each (row), sorts, and then finds out the rest of the few that are shown
// (connectionAnswers).
func (s *Server) connectionsOf(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, []string{"tenant"}, "session", "sort", "limit")
	if err != nil {
		return err
	}
	limit, session := q.number("limit", defaultConnections, 1, maxConnectionsListed), q.number("session", 0, 1, math.MaxUint64)
	order, ok := orders[cmp.Or(q.Get("sort"), "id")]
	if !ok {
		q.fail("sort=%.40s: write rate, lag or id", q.Get("sort"))
	}
	tenants, err := s.tenantsNamed(q.Values["tenant"])
	if err = cmp.Or(q.err, err); err != nil {
		return err
	}
	s.sampler.keepFresh()
	rows := s.rows(tenants)
	if session != 0 {
		rows = slices.DeleteFunc(rows, func(l row) bool { return l.Number != session })
	}
	slices.SortFunc(rows, order)
	return answer(w, http.StatusOK, api.Connections{Total: len(rows), Connections: connectionAnswers(rows[:min(len(rows), int(limit))])})
}

// A row is a session with its tenant and its rates.
type row struct {
	tenant Tenant
	proxy.Session
	rates api.Rates
}

// rows returns all sessions of the tenants, of which a request shows only the first few. So it contains
// nothing that is expensive to find out; see connectionAnswers.
func (s *Server) rows(tenants []Tenant) (rows []row) {
	for _, t := range tenants {
		sample := s.sampler.of(t)
		for _, session := range t.Served.Sessions() {
			rows = append(rows, row{t, session, sample.sessionRates[session.Number]})
		}
	}
	return rows
}

// Orders of rows. Equal rows are in the order of their numbers, so that a list does not change its
// order by itself.

func byID(a, b row) int {
	return cmp.Or(cmp.Compare(a.tenant.Name, b.tenant.Name), cmp.Compare(a.Number, b.Number))
}

func byRate(a, b row) int {
	return cmp.Or(cmp.Compare(b.rates.BytesIn, a.rates.BytesIn), cmp.Compare(b.rates.BytesOut, a.rates.BytesOut), byID(a, b))
}

func byLag(a, b row) int { return cmp.Or(cmp.Compare(b.Lag, a.Lag), byID(a, b)) }

var orders = map[string]func(a, b row) int{"id": byID, "rate": byRate, "lag": byLag}

// connectionAnswers looks up what a row does not contain, as that is too expensive for all
// sessions: how many users each holds, and the names in its certificate.
func connectionAnswers(rows []row) []api.Connection {
	answers := make([]api.Connection, 0, len(rows))
	for _, l := range rows {
		c := api.Connection{Tenant: l.tenant.Name, Session: l.Number, Peer: l.Peer().String(), Listener: l.Local().String(),
			Identities: []string{}, Since: l.Since().UTC(), Master: l.Master, Standby: l.Standby, Groups: policy.GroupNames(l.Groups), Users: l.tenant.Hub().Holds(l.Number),
			PDUsIn: l.PDUsIn, OverLimit: l.Limited, BytesIn: l.BytesIn, PDUsOut: l.PDUsOut, BytesOut: l.BytesOut, Rates: l.rates, Lag: l.Lag, Paused: l.Paused()}
		if state, ok := l.TLS(); ok {
			c.TLS = &api.TLS{Version: tls.VersionName(state.Version), Cipher: tls.CipherSuiteName(state.CipherSuite), ServerName: state.ServerName}
			if len(state.VerifiedChains) > 0 {
				c.Identities = append(c.Identities, certificate.Identities(state.PeerCertificates[0])...)
			}
		}
		answers = append(answers, c)
	}
	return answers
}
