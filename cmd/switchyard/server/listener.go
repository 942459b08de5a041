package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"switchyard/proxy/admission"
	"switchyard/proxy/certificate"
	"switchyard/proxy/config"
	"switchyard/proxy/tenant"
)

// A door is one listener of the configuration.
type door struct {
	config  config.Listener
	source  *certificate.Source // nil for plain TCP
	options admission.Options
	socket  net.Listener        // listens, and accepts nobody before the door is open
	opened  *admission.Listener // nil before
}

// An InvalidError is a fault of a file that the configuration names.
type InvalidError struct{ error }

// makeDoor makes the door for a listener, with the socket of the one of that name that
// is there already.
func (p *plan) makeDoor(l config.Listener) (*door, error) {
	d := &door{config: l}
	before := p.yard.doors[l.Name]
	if before != nil {
		d.socket, d.opened = before.socket, before.opened
	}
	var err error
	switch {
	case l.TLS.Certificate == "":
	case before != nil && before.config.TLS == l.TLS:
		d.source = before.source
	default:
		if d.source, err = loadCertificate(p.config, l); err != nil {
			return nil, err
		}
	}
	if d.options, err = d.optionsOf(p.config, l); err != nil {
		return nil, err
	}
	if d.socket == nil {
		if d.socket, err = net.Listen("tcp", l.Address); err != nil {
			return nil, UnavailableError{fmt.Errorf("listen on %s: %w; free the address, or name another by --listen or in the configuration", l.Address, err)}
		}
	}
	return d, nil
}

// loadCertificate loads the files that a listener's TLS needs.
func loadCertificate(c *config.Config, l config.Listener) (*certificate.Source, error) {
	s, err := certificate.Load(certificate.Files{
		Certificate: c.File(l.TLS.Certificate), Key: c.File(l.TLS.Key), ClientCA: c.File(l.TLS.ClientCA),
		MinVersion: tlsVersion(l.TLS.MinVersion),
	})
	if err != nil {
		return nil, InvalidError{fmt.Errorf("listener %s: %w", l.Address, err)}
	}
	return s, nil
}

func tlsVersion(name string) uint16 {
	if name == "1.3" {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

// optionsOf returns what the configuration says of a listener.
func (d *door) optionsOf(c *config.Config, l config.Listener) (admission.Options, error) {
	claims, err := claimsOf(c, l)
	if err != nil {
		return admission.Options{}, InvalidError{fmt.Errorf("listener %s: %w", l.Address, err)}
	}
	if err := admission.CheckCongestionControl(l.CongestionControl); err != nil {
		return admission.Options{}, InvalidError{fmt.Errorf("listener %s: congestion_control: %w", l.Address, err)}
	}
	o := admission.Options{
		Allow: l.Allow, ProxyFrom: l.ProxyFrom,
		Claims:      claims,
		Identities:  certificate.Identities,
		Describe:    certificate.Describe,
		Connections: int(l.Connections), SourceConnections: int(l.SourceConnections), AcceptRate: int(l.AcceptRate),
		HandshakeTimeout: time.Duration(l.HandshakeTimeout), CongestionControl: l.CongestionControl,
	}
	if d.source != nil {
		o.TLS = d.source.Config()
	}
	return o, nil
}

// claimsOf returns who is served at a listener.
func claimsOf(c *config.Config, l config.Listener) (*tenant.Claims, error) {
	var claims []tenant.Claim
	for _, name := range l.Tenants {
		t, _ := c.Tenant(name)
		claims = append(claims, t.Claim())
	}
	return tenant.NewClaims(l.Tenant, claims...)
}

// open lets connections in as the options say from now on.
func (d *door) open(y *yard) {
	if d.opened != nil {
		d.opened.Set(d.options)
		return
	}
	d.opened = admission.Open(d.socket, d.options, y.find, y.log)
	attrs := []any{"address", d.opened.Addr().String(), "tenant", d.config.Tenant}
	if len(d.config.Tenants) > 0 {
		attrs = append(attrs, "claimed_by", d.config.Tenants)
	}
	if d.source != nil {
		attrs = append(attrs, "tls", true, "certificate_until", d.source.NotAfter().Format(time.RFC3339))
	}
	y.log.Info("listening", attrs...)
}

// close lets nobody in any more. Who is in stays.
func (d *door) close(log *slog.Logger) {
	d.opened.Close()
	c := d.opened.Counts()
	log.Info("listening no more", "address", d.opened.Addr().String(), "accepted", c.Accepted, "open", c.Open, "ended", c.Ended, "refused", c.Refused)
}

// abandon undoes what makeDoor did.
func (d *door) abandon() {
	if d.opened == nil {
		d.socket.Close()
	}
}

// reloadCertificate takes over certificates that were exchanged, for new handshakes.
func (y *yard) reloadCertificate(name string, d *door, asked bool) {
	if d.source == nil {
		return
	}
	changed, err := d.source.Reload()
	if changed {
		y.log.Info("certificate reloaded", "listener", name, "until", d.source.NotAfter().Format(time.RFC3339))
	}
	y.complain("certificate refused; the one in force goes on", "certificate of listener "+name, err, asked)
}

// find returns the tenant of that name for a connection that is on its way in.
func (y *yard) find(name string) admission.Server {
	if t := (*y.serving.Load())[name]; t != nil {
		return t
	}
	return nil
}
