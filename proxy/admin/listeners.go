package admin

import (
	"net/http"
	"time"

	"switchyard/proxy/admin/api"
	"switchyard/proxy/admission"
)

// A Listener is an address at which peers connect; api.Listener says more about its fields.
type Listener struct {
	Listener         string // address in the configuration
	Address          string // address that is listened on
	Tenant           string
	Tenants          []string
	TLS              bool
	MutualTLS        bool
	CertificateUntil *time.Time // nil for plain TCP

	CertificateError    string
	CertificateWarnings []string
	Counts              admission.Counts
}

// listeners answers with all listeners and their counts since they opened.
func (s *Server) listeners(w http.ResponseWriter, _ *http.Request) error {
	all := []api.Listener{}
	for _, l := range s.backend.State().Listeners {
		c := l.Counts
		all = append(all, api.Listener{Listener: l.Listener, Address: l.Address, Tenant: l.Tenant, Tenants: append([]string{}, l.Tenants...),
			TLS: l.TLS, MutualTLS: l.MutualTLS, CertificateUntil: l.CertificateUntil,
			CertificateError: l.CertificateError, CertificateWarnings: append([]string{}, l.CertificateWarnings...), Accepted: c.Accepted, Handshaking: c.Handshaking,
			Open: c.Open, Ended: c.Ended, Refused: byName(c.Refused), Sources: c.Sources})
	}
	return answer(w, http.StatusOK, api.Listeners{Listeners: all})
}
