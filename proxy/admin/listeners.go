package admin

import (
	"net/http"
	"time"

	"switchyard/proxy/admission"
)

// A Listener is an address at which peers connect.
type Listener struct {
	Listener  string   `json:"listener"` // in the configuration
	Address   string   `json:"address"`  // that is listened on
	Tenant    string   `json:"tenant"`
	Tenants   []string `json:"tenants"`
	TLS       bool     `json:"tls"`
	MutualTLS bool     `json:"mutual_tls"`
	// CertificateUntil is when the certificate expires; nil for plain TCP.
	CertificateUntil *time.Time       `json:"certificate_until"`
	Counts           admission.Counts `json:"-"`
}

type listenerAnswer struct {
	Listener
	Accepted    uint64                      `json:"accepted"`
	Handshaking int                         `json:"handshaking"`
	Open        int                         `json:"open"`
	Ended       uint64                      `json:"ended"`
	Refused     map[admission.Reason]uint64 `json:"refused"`
	Sources     int                         `json:"sources"`
}

func (s *Server) listeners(w http.ResponseWriter, _ *http.Request) error {
	all := []listenerAnswer{}
	for _, l := range s.facts.Listeners() {
		if l.Tenants == nil {
			l.Tenants = []string{}
		}
		c := l.Counts
		if c.Refused == nil {
			c.Refused = map[admission.Reason]uint64{}
		}
		all = append(all, listenerAnswer{l, c.Accepted, c.Handshaking, c.Open, c.Ended, c.Refused, c.Sources})
	}
	return answer(w, http.StatusOK, map[string]any{"listeners": all})
}
