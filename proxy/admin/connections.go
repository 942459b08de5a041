package admin

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"

	"switchyard/proxy"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/certificate"
)

// How many sessions are told of.
const (
	someConnections = 100
	mostConnections = 10_000
)

// connectionsOf tells of sessions.
func (s *Server) connectionsOf(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "tenant", "sort", "limit")
	if err != nil {
		return err
	}
	limit, err := number(q, "limit", someConnections, 1, mostConnections)
	if err != nil {
		return err
	}
	order, ok := orders[cmp.Or(q.Get("sort"), "id")]
	if !ok {
		return fmt.Errorf("sort=%.40s: write rate, lag or id", q.Get("sort"))
	}
	tenants, err := s.chosen(q["tenant"])
	if err != nil {
		return err
	}
	s.sampler.want()
	lines := s.lines(tenants)
	slices.SortFunc(lines, order)
	return answer(w, http.StatusOK, api.Connections{Total: len(lines), Connections: tell(lines[:min(len(lines), int(limit))])})
}

// A line is a session with how fast it is.
type line struct {
	tenant Tenant
	proxy.Session
	rates api.Rates
}

// lines returns the sessions of tenants.
func (s *Server) lines(tenants []Tenant) (lines []line) {
	for _, t := range tenants {
		sample := s.sampler.of(t)
		for _, session := range t.Served.Sessions() {
			lines = append(lines, line{t, session, sample.sessionRates[session.Number]})
		}
	}
	return lines
}

func byID(a, b line) int {
	return cmp.Or(cmp.Compare(a.tenant.Name, b.tenant.Name), cmp.Compare(a.Number, b.Number))
}

func byRate(a, b line) int {
	return cmp.Or(cmp.Compare(b.rates.BytesIn, a.rates.BytesIn), cmp.Compare(b.rates.BytesOut, a.rates.BytesOut), byID(a, b))
}

func byLag(a, b line) int { return cmp.Or(cmp.Compare(b.Lag, a.Lag), byID(a, b)) }

var orders = map[string]func(a, b line) int{"id": byID, "rate": byRate, "lag": byLag}

// tell finds out about sessions what is not known of all.
func tell(lines []line) []api.Connection {
	told := make([]api.Connection, 0, len(lines))
	for _, l := range lines {
		c := api.Connection{Tenant: l.tenant.Name, Session: l.Number, Peer: l.Peer().String(), Listener: l.Local().String(),
			Identities: []string{}, Since: l.Since().UTC(), Master: l.Master, Users: l.tenant.Hub().Holds(l.Number),
			PDUsIn: l.PDUsIn, BytesIn: l.BytesIn, PDUsOut: l.PDUsOut, BytesOut: l.BytesOut, Rates: l.rates, Lag: l.Lag, Paused: l.Paused()}
		if state, ok := l.TLS(); ok {
			c.TLS = &api.TLS{Version: tls.VersionName(state.Version), Cipher: tls.CipherSuiteName(state.CipherSuite), ServerName: state.ServerName}
			if len(state.VerifiedChains) > 0 {
				c.Identities = append(c.Identities, certificate.Identities(state.PeerCertificates[0])...)
			}
		}
		told = append(told, c)
	}
	return told
}
