package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"switchyard/proxy/admission"
	"switchyard/proxy/certificate"
	"switchyard/proxy/config"
	"switchyard/proxy/hub"
	"switchyard/proxy/tenant"
)

// A listener is one of the configuration. A plan prepares it, with its socket; from open on it
// accepts connections.
type listener struct {
	config    config.Listener
	source    *certificate.Source // nil for plain TCP
	options   admission.Options
	socket    net.Listener        // bound before open, so that commit cannot fail
	admission *admission.Listener // nil before open
	continues admission.State     // the counts of the listener in another process that this one continues
}

// An inherited is the socket of a listener in another process, and what that has counted.
type inherited struct {
	socket net.Listener
	state  admission.State
}

// An InvalidError is a fault of a file that the configuration names.
type InvalidError struct{ error }

// invalidKey returns the fault that the server finds in the value of a key, with the place where the
// key was set.
func invalidKey(c *config.Config, key string, err error) error {
	return InvalidError{fmt.Errorf("%v: %s: %w", c.Place(key), key, err)}
}

// What can fail about a listener is done before a plan takes effect, and what takes effect cannot
// fail:
//
//	prepareListener   reads certificates, binds the socket   fails ─▶ the plan is rolled back
//	open              accepts, or changes the options        cannot fail
//	stopAccepting     frees the address                      cannot fail
//	close             waits for handshakes in progress       bounded by their timeout
//
// The kernel accepts connections from the moment the socket is bound, and queues them. They stay
// queued until open takes them; a rollback of the plan resets them.

// prepareListener prepares a listener. If there is one of that name already, it takes over
// that one's socket, and its certificate if the files are the same.
func (p *plan) prepareListener(c config.Listener) (*listener, error) {
	l := &listener{config: c}
	// A listener is identified by its name, which is its address: its connections, counts and
	// options continue.
	before := p.server.listeners[c.Name]
	if before != nil {
		l.socket, l.admission = before.socket, before.admission
		if before.config.TLS == c.TLS {
			l.source = before.source
		}
	}
	if err := p.configure(l); err != nil {
		return nil, err
	}
	if i, ok := p.inherited[c.Name]; ok {
		l.socket, l.continues = i.socket, i.state
	}
	if l.socket == nil {
		var err error
		if l.socket, err = p.listen(c.Address); err != nil {
			return nil, UnavailableError{fmt.Errorf("listen on %s: %w; %s, or name another by --listen or in the configuration", c.Address, err, p.freeing(c.Address))}
		}
	}
	return l, nil
}

// configure loads the listener's certificate, unless it has one, and sets its options.
func (p *plan) configure(l *listener) (err error) {
	if l.config.TLS.Certificate != "" && l.source == nil {
		if l.source, err = loadListenerCertificate(p.config, l.config); err != nil {
			return err
		}
	}
	l.options, err = l.admissionOptions(p.config, p.server.access.refused)
	return err
}

// listen listens at an address of a listener or of metrics. A socket that the plan removes may have a
// part of it, or all of it and more; they share that until the plan is in force. That socket's own
// address decides: the configuration may name a host, or port 0.
func (p *plan) listen(address string) (net.Listener, error) {
	var sharing []net.Listener
	for _, old := range p.removed() {
		if collides(old, address) {
			sharing = append(sharing, old)
			p.shared[old] = true
		}
	}
	if len(sharing) == 0 {
		return net.Listen("tcp", address)
	}
	return listenShared(address, sharing)
}

// removed returns the sockets in force that the plan does not keep.
func (p *plan) removed() (sockets []net.Listener) {
	for name, old := range p.server.listeners {
		if !slices.ContainsFunc(p.config.Listeners, func(l config.Listener) bool { return l.Name == name }) {
			sockets = append(sockets, old.socket)
		}
	}
	if old := p.server.metricsAddress; old != nil && !old.continues(p.config.Metrics) {
		sockets = append(sockets, old.socket)
	}
	return sockets
}

// collides reports whether a socket has the address, or a part of it.
func collides(l net.Listener, address string) bool {
	wanted, err := net.ResolveTCPAddr("tcp", address)
	return err == nil && l.Addr().Network() == "tcp" && config.Collide(l.Addr().String(), wanted.String())
}

// freeing returns how an address that is taken can become free.
func (p *plan) freeing(address string) string {
	if slices.ContainsFunc(p.server.adminListeners, func(l net.Listener) bool { return collides(l, address) }) {
		return "the admin interface of this server has it until a restart, so restart"
	}
	return "free the address"
}

// loadCertificate loads the files of a section about TLS, as "metrics.tls". whose says what they are
// for, in errors.
func loadCertificate(c *config.Config, t config.TLS, section, whose string) (*certificate.Source, error) {
	s, err := certificate.Load(certificate.Files{
		Certificate: c.File(t.Certificate), Key: c.File(t.Key), ClientCA: c.File(t.ClientCA), CRL: c.File(t.CRL),
		MinVersion: tlsVersion(t.MinVersion),
	})
	if err != nil {
		return nil, InvalidError{fmt.Errorf("%v: %s: %w", c.Place(section+".certificate", section), whose, err)}
	}
	return s, nil
}

// loadListenerCertificate loads the files of a listener's section about TLS.
func loadListenerCertificate(c *config.Config, l config.Listener) (*certificate.Source, error) {
	return loadCertificate(c, l.TLS, listenerKey(c, l, "tls"), "listener "+l.Address)
}

// listenerKey returns the name of a listener's key as faults have it, by its index.
func listenerKey(c *config.Config, l config.Listener, key string) string {
	i := slices.IndexFunc(c.Listeners, func(other config.Listener) bool { return other.Name == l.Name })
	return fmt.Sprintf("listener.%d.%s", i, key)
}

// tlsVersion returns the number of a version that the configuration allows: 1.2 or 1.3.
func tlsVersion(name string) uint16 {
	if name == "1.3" {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

// admissionOptions returns the listener's configuration in the form that admission takes.
// refused is called for every connection that is refused, and may be nil.
func (l *listener) admissionOptions(c *config.Config, refused func(admission.Refusal)) (admission.Options, error) {
	claims, err := claimsOf(c, l.config)
	if err != nil {
		return admission.Options{}, InvalidError{fmt.Errorf("listener %s: %w", l.config.Address, err)}
	}
	if err := admission.CheckCongestionControl(l.config.CongestionControl); err != nil {
		return admission.Options{}, invalidKey(c, listenerKey(c, l.config, "congestion_control"), err)
	}
	o := admission.Options{
		Allow: l.config.Allow, ProxyFrom: l.config.ProxyFrom,
		Claims:      claims,
		Identities:  certificate.Identities,
		Issuers:     certificate.Issuers,
		Describe:    certificate.Describe,
		Connections: int(l.config.Connections), SourceConnections: int(l.config.SourceConnections), AcceptRate: int(l.config.AcceptRate),
		HandshakeTimeout: time.Duration(l.config.HandshakeTimeout), WriteTimeout: time.Duration(c.Peer.WriteTimeout),
		CongestionControl: l.config.CongestionControl, Pacing: l.config.Pacing,
	}
	// Withdrawn is asked about every open connection with a certificate, when the listener rechecks.
	o.Recheck, o.Refused = l.config.Recheck, refused
	if l.source != nil {
		o.TLS = l.source.Config()
		o.Withdrawn = func(chains [][]*x509.Certificate, now time.Time) hub.Reason {
			return withdrawals[l.source.Withdrawn(chains, now)]
		}
	}
	return o, nil
}

// withdrawals are the reasons for ending sessions whose certificates would be refused now.
var withdrawals = map[string]hub.Reason{
	certificate.ReasonRevoked:   hub.CertificateRevoked,
	certificate.ReasonExpired:   hub.CertificateExpired,
	certificate.ReasonUnknownCA: hub.CertificateUnknownCA,
}

// claimsOf returns the tenants that are served at a listener, and what they claim.
func claimsOf(c *config.Config, l config.Listener) (*tenant.Claims, error) {
	var claims []tenant.Claim
	for _, name := range l.Tenants {
		t, _ := c.Tenant(name)
		claims = append(claims, t.Claim())
	}
	return tenant.NewClaims(l.Tenant, claims...)
}

// open starts to accept connections; if the listener accepts already, the new options apply to
// connections from now on.
func (l *listener) open(srv *server) {
	if l.admission != nil {
		l.admission.Set(l.options)
		return
	}
	l.admission = admission.Open(l.socket, l.options, srv.find, srv.log)
	l.logOpen(srv.log)
}

// openFrozen prepares to accept connections from thaw on, and to adopt connections before that.
func (l *listener) openFrozen(srv *server) {
	l.admission = admission.OpenFrozen(l.socket, l.options, l.continues, srv.find, srv.log)
}

// thaw starts to accept connections after openFrozen.
func (l *listener) thaw(srv *server) {
	l.admission.Thaw()
	l.logOpen(srv.log)
}

// logOpen logs the address that is really listened at: the configuration may name a host, or port 0.
func (l *listener) logOpen(log *slog.Logger) {
	attrs := []any{"address", l.admission.Addr().String(), "tenant", l.config.Tenant}
	if len(l.config.Tenants) > 0 {
		attrs = append(attrs, "claimed_by", l.config.Tenants)
	}
	if l.source != nil {
		attrs = append(attrs, "tls", true, "certificate_until", l.source.NotAfter().Format(time.RFC3339))
	}
	log.Info("listening", attrs...)
}

// stopAccepting frees the address. Existing connections stay open, and handshakes in progress go
// on until close. If shared, another socket keeps the port.
func (l *listener) stopAccepting(shared bool) {
	if l.admission == nil {
		l.socket.Close()
		return
	}
	if shared {
		leaveToSuccessor(l.socket)
	}
	l.admission.StopAccepting()
}

// close ends a listener that has stopped accepting, when its handshakes in progress have ended or
// ctx is done. Existing connections stay open.
func (l *listener) close(ctx context.Context, log *slog.Logger) {
	if l.admission == nil {
		return
	}
	l.admission.Finish(ctx)
	c := l.admission.Counts()
	log.Info("no longer listening", "address", l.admission.Addr().String(), "accepted", c.Accepted, "open", c.Open, "ended", c.Ended, "refused", c.Refused)
}

// rollback undoes prepareListener.
func (l *listener) rollback() {
	if l.admission == nil {
		l.socket.Close()
	}
}

// reloadCertificate loads a certificate again if its files changed, for new handshakes. whose is the
// address that it is for.
func (srv *server) reloadCertificate(whose string, source *certificate.Source, requested bool) {
	changed, err := source.Reload()
	switch {
	case changed:
		srv.log.Info("certificate reloaded", "listener", whose, "until", source.NotAfter().Format(time.RFC3339))
	case err == nil && srv.lastErrors[certificateOf(whose)] != "":
		srv.log.Info("the refused certificate is gone; its files are those in force again", "listener", whose, "until", source.NotAfter().Format(time.RFC3339))
	}
	srv.reportOnce("certificate refused; keeping the one in force", certificateOf(whose), err, requested)
}

// certificateOf returns the key in lastErrors of the certificate of an address.
func certificateOf(whose string) string { return "certificate of listener " + whose }

// certificates returns the certificates in force, by the name of their listener; those of the addresses of
// admin and of metrics are among them.
func (srv *server) certificates() map[string]*certificate.Source {
	all := make(map[string]*certificate.Source)
	for name, l := range srv.listeners {
		if l.source != nil {
			all[name] = l.source
		}
	}
	if srv.adminSource != nil {
		all[adminCertificate] = srv.adminSource
	}
	if srv.metricsAddress != nil && srv.metricsAddress.source != nil {
		all[metricsCertificate] = srv.metricsAddress.source
	}
	return all
}

// find returns the tenant of that name for a connection that arrives. Any goroutine may call
// it.
func (srv *server) find(name string) admission.Server {
	if t := (*srv.serving.Load())[name]; t != nil {
		return t
	}
	return nil
}
