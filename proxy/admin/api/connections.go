package api

import "time"

// The answers to /api/v1/connections and /api/v1/listeners, and what /api/v1/connections/close takes.

// Connections are sessions, at most as many as were asked for.
type Connections struct {
	Connections []Connection `json:"connections"`
	Total       int          `json:"total"` // how many match
}

// A Connection is one session.
type Connection struct {
	Tenant     string    `json:"tenant"`
	Session    uint64    `json:"session"`    // its number, unique within the tenant
	Peer       string    `json:"peer"`       // address and port, as a trusted proxy announced them if there is one
	Listener   string    `json:"listener"`   // address at which it was accepted; empty if not known
	Identities []string  `json:"identities"` // in the client's certificate
	TLS        *TLS      `json:"tls"`        // nil for plain TCP
	Since      time.Time `json:"since"`      // when it was accepted
	Master     bool      `json:"master"`     // it declared itself master by ROLE_SET
	Standby    bool      `json:"standby"`    // it gets heartbeats only, as cluster.standby_links says, until it declares itself master
	Groups     []string  `json:"groups"`     // in which it is, see [tenant.NAME.group.NAME]
	Users      int       `json:"users"`      // that it holds
	PDUsIn     uint64    `json:"pdus_in"`
	OverLimit  uint64    `json:"over_limit"` // of these, dropped beyond a rate limit of the policy
	BytesIn    uint64    `json:"bytes_in"`
	PDUsOut    uint64    `json:"pdus_out"`
	BytesOut   uint64    `json:"bytes_out"`
	Rates      Rates     `json:"rates"`
	Lag        uint64    `json:"lag"`
	Paused     bool      `json:"paused"` // it is not read from now, because of a quota or a full log
}

// A CloseRequest is a request to close the connection of one peer.
type CloseRequest struct {
	Tenant  string `json:"tenant,omitempty"` // may be left out if there is one tenant
	Session uint64 `json:"session"`
	Reason  string `json:"reason,omitempty"` // for the log
}

// A Closed is a session that is being closed: what is due to its peer is written first.
type Closed struct {
	Tenant  string `json:"tenant"`
	Session uint64 `json:"session"`
	Peer    string `json:"peer"`
}

// A TLS is what a handshake agreed on.
type TLS struct {
	Version    string `json:"version"` // such as TLS 1.3
	Cipher     string `json:"cipher"`
	ServerName string `json:"server_name"` // that the client asked for; empty if none
}

// Listeners are all listeners, in the order of the configuration.
type Listeners struct {
	Listeners []Listener `json:"listeners"`
}

// A Listener is an address at which peers connect. Accepted is Handshaking, Open, Ended
// and the sum of Refused.
type Listener struct {
	Listener         string     `json:"listener"` // address in the configuration
	Address          string     `json:"address"`  // address that is listened on
	Tenant           string     `json:"tenant"`   // of connections that no tenant claims; empty if those are refused
	Tenants          []string   `json:"tenants"`  // that may claim connections
	TLS              bool       `json:"tls"`
	MutualTLS        bool       `json:"mutual_tls"`        // clients must present a certificate
	CertificateUntil *time.Time `json:"certificate_until"` // when the certificate expires; nil for plain TCP

	CertificateError    string            `json:"certificate_error"`    // why the files that are there now are refused; empty if they are in force
	CertificateWarnings []string          `json:"certificate_warnings"` // about the files in force
	Accepted            uint64            `json:"accepted"`
	Handshaking         int               `json:"handshaking"`
	Open                int               `json:"open"`
	Ended               uint64            `json:"ended"`
	Refused             map[string]uint64 `json:"refused"` // by reason
	Sources             int               `json:"sources"` // source addresses that are remembered
}
