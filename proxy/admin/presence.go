package admin

import (
	"math"
	"net/http"
	"slices"

	"switchyard/proxy"
)

type presenceAnswer struct {
	Tenant  string      `json:"tenant"`
	Users   int         `json:"users"`
	Entries int         `json:"entries"`
	Limit   int         `json:"limit"`
	User    *userAnswer `json:"user"`
}

type userAnswer struct {
	User    uint64         `json:"user"`
	Present bool           `json:"present"`
	Holders []holderAnswer `json:"holders"`
}

type holderAnswer struct {
	Session uint64 `json:"session"`
	Peer    string `json:"peer"`
}

// presence tells how many users there are, and who holds one.
func (s *Server) presence(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "tenant", "user")
	if err != nil {
		return err
	}
	t, err := s.tenant(q.Get("tenant"))
	if err != nil {
		return err
	}
	user, err := number(q, "user", 0, 0, math.MaxUint32)
	if err != nil {
		return err
	}
	a := presenceAnswer{Tenant: t.Name, Limit: t.Limits.Users}
	a.Users, a.Entries = t.Hub().Presence()
	if q.Has("user") {
		a.User = holdersOf(t, uint32(user))
	}
	return answer(w, http.StatusOK, a)
}

func holdersOf(t Tenant, user uint32) *userAnswer {
	a := &userAnswer{User: uint64(user), Holders: []holderAnswer{}}
	sessions := t.Served.Sessions()
	holders := t.Hub().Holders(user)
	slices.Sort(holders)
	for _, holder := range holders {
		h := holderAnswer{Session: holder}
		if i := slices.IndexFunc(sessions, func(s proxy.Session) bool { return s.Number == holder }); i >= 0 {
			h.Peer = sessions[i].Peer().String()
		}
		a.Holders = append(a.Holders, h)
	}
	a.Present = len(holders) > 0
	return a
}
