package admin

import (
	"math"
	"net/http"
	"slices"

	"switchyard/proxy"
	"switchyard/proxy/admin/api"
)

// presence answers with the number of users, and with the sessions that hold one of them.
func (s *Server) presence(w http.ResponseWriter, r *http.Request) error {
	q, t, err := s.tenantQuery(r, "user")
	if err != nil {
		return err
	}
	user := q.number("user", 0, 0, math.MaxUint32)
	if q.err != nil {
		return q.err
	}
	a := api.Presence{Tenant: t.Name, Limit: t.Limits.Users}
	a.Users, a.Entries = t.Hub().Presence()
	if q.Has("user") {
		a.User = holdersOf(t, uint32(user))
	}
	return answer(w, http.StatusOK, a)
}

// holdersOf returns the sessions that hold a user. A session that has ended since has no address.
func holdersOf(t Tenant, user uint32) *api.User {
	a := &api.User{User: uint64(user), Holders: []api.Holder{}}
	sessions := t.Served.Sessions()
	holders := t.Hub().Holders(user)
	slices.Sort(holders)
	for _, holder := range holders {
		h := api.Holder{Session: holder}
		if i := slices.IndexFunc(sessions, func(s proxy.Session) bool { return s.Number == holder }); i >= 0 {
			h.Peer = sessions[i].Peer().String()
		}
		a.Holders = append(a.Holders, h)
	}
	a.Present = len(holders) > 0
	return a
}
