package config

import "slices"

// keys returns the keys of [metrics].
func (m *Metrics) keys() []key {
	return append([]key{
		{name: "metrics.address", field: &m.Address, check: checkAddress.orNone()},
		{name: "metrics.allow", field: &m.Allow},
		{name: "metrics.token_file", field: &m.TokenFile, check: checkPath, input: true},
	}, m.TLS.keys("metrics.tls")...)
}

// checkMetrics requires an address that other machines reach to say who may read there, and a token
// to be encrypted on its way:
//
//	address        allow      token_file  tls.certificate  tls.client_ca
//	loopback       –          –           –                –               sound
//	elsewhere      networks   –           –                –               sound
//	elsewhere      –          yes         yes              –               sound
//	elsewhere      –          –           yes              yes             sound
//	elsewhere      any        yes         –                –               the token is sent in the clear
//	elsewhere      –          –           any              –               everybody may read
func (r *reader) checkMetrics() {
	m := r.config.Metrics
	const address, allow, token, certificate, ca = "metrics.address", "metrics.allow", "metrics.token_file", "metrics.tls.certificate", "metrics.tls.client_ca"
	if !r.sound(address, allow, token, certificate, ca) {
		return
	}
	r.checkTLS(m.TLS, "metrics.tls")
	if m.Address == "" {
		for _, key := range []struct {
			name string
			set  bool
		}{{allow, len(m.Allow) > 0}, {token, m.TokenFile != ""}, {certificate, m.TLS.Certificate != ""}} {
			if key.set {
				r.fault(r.place(key.name), "%s: this is for metrics.address, which is none; write that, such as address = \":9280\", or leave this out", key.name)
			}
		}
		return
	}
	if isLoopback(m.Address) {
		return
	}
	everybody := len(m.Allow) == 0 || slices.ContainsFunc(m.Allow, everything)
	switch {
	case m.TokenFile != "" && m.TLS.Certificate == "":
		r.fault(r.place(token), "%s: %q can be reached from other machines, and without TLS the token could be read on its way; name the files of a certificate in metrics.tls.certificate and metrics.tls.key, or leave the token out and name the scrapers in metrics.allow", token, m.Address)
	case everybody && m.TokenFile == "" && m.TLS.ClientCA == "":
		r.fault(r.place(address, "metrics"), "%s: %q can be reached from other machines, and everybody may read; name the scrapers in metrics.allow, or ask for a token by metrics.token_file or for certificates by metrics.tls.client_ca", address, m.Address)
	}
}
