package server

import (
	"fmt"
	"net"
	"time"

	"switchyard/proxy/admin"
	"switchyard/proxy/certificate"
	"switchyard/proxy/config"
	"switchyard/proxy/metrics"
)

// A metricsAddress is the address of [metrics]. As with a listener, what can fail is done before a plan
// takes effect:
//
//	prepareMetrics   reads certificate and token, binds the socket   fails ─▶ the plan is rolled back
//	open             answers, or changes who may read                cannot fail
//	close            frees the address                               cannot fail
type metricsAddress struct {
	config  config.Metrics
	source  *certificate.Source // nil for plain TCP
	options admin.MetricsOptions
	socket  net.Listener         // bound before open
	server  *admin.MetricsServer // nil before open
}

// prepareMetrics prepares the address of [metrics]; nil if there is none. If it is served already,
// the socket is taken over, and the certificate if its files are the same.
func (p *plan) prepareMetrics() (*metricsAddress, error) {
	c := p.config.Metrics
	if c.Address == "" {
		return nil, nil
	}
	s := &metricsAddress{config: c}
	// The same address keeps its socket, so that no scrape fails because of a reload.
	if before := p.server.metricsAddress; before != nil && before.continues(c) {
		s.socket, s.server = before.socket, before.server
		if before.config.TLS == c.TLS {
			s.source = before.source
		}
	}
	if err := s.configure(p.config); err != nil {
		return nil, err
	}
	if p.metricsSocket != nil {
		s.socket = p.metricsSocket
	}
	if s.socket == nil {
		var err error
		if s.socket, err = p.listen(c.Address); err != nil {
			return nil, UnavailableError{fmt.Errorf("listen on %s for metrics: %w; %s, or write another metrics.address", c.Address, err, p.freeing(c.Address))}
		}
	}
	return s, nil
}

// continues reports whether the address stays open under another configuration.
func (s *metricsAddress) continues(c config.Metrics) bool {
	return c.Address != "" && config.SameAddress(s.config.Address, c.Address)
}

// configure loads the certificate, unless there is one, and reads the token.
func (s *metricsAddress) configure(c *config.Config) (err error) {
	if s.config.Address == "" {
		return nil
	}
	if s.config.TLS.Certificate != "" && s.source == nil {
		if s.source, err = loadCertificate(c, s.config.TLS, "metrics.tls", "metrics"); err != nil {
			return err
		}
	}
	s.options = admin.MetricsOptions{Allow: s.config.Allow, TokenFile: c.File(s.config.TokenFile)}
	if s.source != nil {
		s.options.TLS = s.source.Config()
	}
	if err := admin.CheckToken(s.options.TokenFile); err != nil {
		return invalidKey(c, "metrics.token_file", err)
	}
	return nil
}

// open starts to answer; if the address is served already, the new options apply from now on. It
// cannot fail, because the socket is bound and the files are read.
func (s *metricsAddress) open(srv *server) {
	if s.server != nil {
		s.server.Set(s.options)
		return
	}
	s.server = admin.ServeMetrics(s.socket, srv.state, &srv.state.probes, metrics.Handler(srv.state.metrics), s.options, srv.log)
	attrs := []any{"address", s.socket.Addr().String()}
	if s.source != nil {
		attrs = append(attrs, "tls", true, "certificate_until", s.source.NotAfter().Format(time.RFC3339))
	}
	srv.log.Info("metrics", attrs...)
}

// close frees the address. s may be nil.
func (s *metricsAddress) close() {
	switch {
	case s == nil:
	case s.server == nil:
		s.socket.Close()
	default:
		s.server.Close()
	}
}

// commitMetrics puts the plan's address of metrics in place of the one before.
func (p *plan) commitMetrics() {
	srv, before := p.server, p.server.metricsAddress
	if srv.metricsAddress = p.metricsAddress; srv.metricsAddress != nil {
		srv.metricsAddress.open(srv)
	}
	// Scrapes under way are answered in the background: a slow one must not hold up the reload.
	if before != nil && (p.metricsAddress == nil || p.metricsAddress.server != before.server) {
		if p.shared[before.socket] {
			leaveToSuccessor(before.socket)
		}
		before.server.StopAccepting()
		srv.leaving.Go(before.close)
	}
}

// metricsCertificate is the name of the certificate of metrics among those of listeners.
const metricsCertificate = "metrics"
