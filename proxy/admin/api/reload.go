package api

import "strings"

// The answer to /api/v1/reload: what became of each part of the configuration.

// Results of a reload, Refused beside them.
const (
	Added     = "added"
	Changed   = "changed"
	Unchanged = "unchanged"
	Removed   = "removed"
	Plain     = "plain" // a listener without a certificate
)

// A Reload is the outcome of one. What was refused has changed nothing.
type Reload struct {
	OK            bool                `json:"ok"`    // nothing was refused
	Error         string              `json:"error"` // what was refused, in short; empty if OK
	Configuration ReloadConfiguration `json:"configuration"`
	Listeners     []ReloadListener    `json:"listeners"`
	Tenants       []ReloadTenant      `json:"tenants"`
}

// A ReloadConfiguration is the outcome for the configuration's file.
type ReloadConfiguration struct {
	Result  string   `json:"result"`  // Changed, Unchanged or Refused
	Changed []string `json:"changed"` // keys
	Restart []string `json:"restart"` // keys that changed and wait for a restart
	Error   string   `json:"error"`
}

// A ReloadListener is the outcome for a listener's certificate.
type ReloadListener struct {
	Listener string `json:"listener"`
	Result   string `json:"result"` // Changed, Unchanged, Refused or Plain
	Error    string `json:"error"`
}

// A ReloadTenant is the outcome for a tenant's policy, and for its audited one.
type ReloadTenant struct {
	Tenant     string `json:"tenant"`
	Result     string `json:"result"` // Added, Changed, Unchanged, Refused or Removed
	Policy     Policy `json:"policy"` // in force
	Error      string `json:"error"`  // empty unless Refused
	AuditError string `json:"audit_error"`
}

// Sum sets OK and Error, and replaces nil lists by empty ones.
func (r *Reload) Sum() {
	c := &r.Configuration
	c.Changed, c.Restart = append([]string{}, c.Changed...), append([]string{}, c.Restart...)
	r.Listeners, r.Tenants = append([]ReloadListener{}, r.Listeners...), append([]ReloadTenant{}, r.Tenants...)
	var refused []string
	note := func(what, err string) {
		if err != "" {
			refused = append(refused, what)
		}
	}
	note("configuration", c.Error)
	for _, l := range r.Listeners {
		note("certificate of listener "+l.Listener, l.Error)
	}
	for _, t := range r.Tenants {
		note("policy of tenant "+t.Tenant, t.Error)
		note("audit of tenant "+t.Tenant, t.AuditError)
	}
	r.OK = len(refused) == 0
	if r.Error = ""; !r.OK {
		r.Error = "refused: " + strings.Join(refused, ", ") + "; what was in force stays in force"
	}
}
