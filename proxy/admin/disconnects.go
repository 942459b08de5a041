package admin

import (
	"cmp"
	"net/http"
	"slices"

	"switchyard/proxy/admin/api"
)

const (
	defaultDisconnects = 100
	maxDisconnects     = 1000
)

// disconnects lists the sessions that ended last, of each tenant as many as proxy.Tenant remembers.
func (s *Server) disconnects(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, []string{"tenant"}, "limit")
	if err != nil {
		return err
	}
	limit := q.number("limit", defaultDisconnects, 1, maxDisconnects)
	tenants, err := s.tenantsNamed(q.Values["tenant"])
	if err = cmp.Or(q.err, err); err != nil {
		return err
	}
	all := []api.Disconnect{}
	for _, t := range tenants {
		for _, e := range t.Served.Ended() {
			all = append(all, api.Disconnect{Tenant: t.Name, Session: e.Number, Peer: e.Peer.String(), Listener: e.Local.String(), Identity: e.Identity, Master: e.Master,
				Since: e.Since.UTC(), Until: e.Until.UTC(), Reason: string(e.Reason), Error: short(e.Error), Warning: e.Warns(),
				PDUsIn: e.PDUsIn, BytesIn: e.BytesIn, PDUsOut: e.PDUsOut, BytesOut: e.BytesOut, Lag: e.Lag})
		}
	}
	slices.SortStableFunc(all, func(a, b api.Disconnect) int { return b.Until.Compare(a.Until) })
	return answer(w, http.StatusOK, api.Disconnects{Disconnects: all[:min(len(all), int(limit))]})
}
