package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"switchyard/proxy/admin"
	"switchyard/proxy/admin/dashboard"
	"switchyard/proxy/certificate"
	"switchyard/proxy/metrics"
)

// An adminInterface is where operators and scrapers ask.
type adminInterface struct {
	admin          *admin.Server       // nil if no address and no socket is configured
	adminListeners []net.Listener      // owned by admin
	adminSource    *certificate.Source // of admin.tls; nil for plain HTTP
	metricsAddress *metricsAddress     // nil if metrics.address is empty
}

// openAdmin starts the admin interface at listeners, and closes them if it returns an error.
//
// lastHour is what the process before knew of the last hour, see admin.Options; nil at a start.
func (srv *server) openAdmin(listeners []net.Listener, lastHour map[string]*admin.Hour) (err error) {
	if len(listeners) == 0 {
		return nil
	}
	defer func() {
		if err != nil {
			closeAll(listeners)
		}
	}()
	c, state := srv.config.Admin, srv.state
	srv.adminListeners = listeners
	// The first request may come at once, and reads this view.
	state.update(srv)
	srv.admin, err = admin.Serve(srv.securedAdmin(listeners), state, admin.Options{
		Version: ProgramVersion().String(), Started: state.started, Level: srv.level,
		Lines: &state.lines, History: &state.history, Records: state.records.Load(), Probes: &state.probes,
		Metrics: metrics.Handler(state.metrics), Page: dashboard.Handler(), Profiles: c.PProf,
		ReadToken: srv.config.File(c.ReadTokenFile), OperateToken: srv.config.File(c.OperateTokenFile),
		LastHour: lastHour,
	}, srv.log)
	if err != nil {
		return InvalidError{err}
	}
	for _, address := range srv.admin.Addrs() {
		srv.log.Info("admin", "address", address.String())
	}
	return nil
}

// closeAll closes listeners that nothing serves yet.
func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		l.Close()
	}
}

// listenAdmin listens at the configured address and socket, and checks the files for that: a fault
// that shows only when peers are served would cost them their connection.
func (srv *server) listenAdmin() (listeners []net.Listener, err error) {
	defer func() {
		if err != nil {
			closeAll(listeners)
		}
	}()
	if address := srv.config.Admin.Address; address != "" {
		l, err := listenAddress(address, srv.config.Admin.TLS.Certificate != "")
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, l)
	}
	if path := srv.config.File(srv.config.Admin.Socket); path != "" {
		l, err := listenSocket(path)
		if err != nil {
			return listeners, UnavailableError{fmt.Errorf("listen on %s for admin: %w", path, err)}
		}
		listeners = append(listeners, l)
	}
	return listeners, srv.checkAdminFiles()
}

// loadAdminCertificate loads the certificate of admin.tls, unless it is loaded. After that only a
// reload replaces it, in place, so that open connections are not disturbed.
func (srv *server) loadAdminCertificate() (err error) {
	if c := srv.config.Admin; srv.adminSource == nil && c.Address != "" && c.TLS.Certificate != "" {
		srv.adminSource, err = loadCertificate(srv.config, c.TLS, "admin.tls", "admin")
	}
	return err
}

// securedAdmin returns the listeners, with TLS at the address if admin.tls is set. An upgrade hands
// over the listeners themselves.
func (srv *server) securedAdmin(listeners []net.Listener) []net.Listener {
	secured := slices.Clone(listeners)
	for i, l := range secured {
		if srv.adminSource != nil && l.Addr().Network() == "tcp" {
			secured[i] = tls.NewListener(l, srv.adminSource.Config())
		}
	}
	return secured
}

// adminCertificate is the name of the certificate of admin.tls among those of listeners.
const adminCertificate = "admin"

// checkAdminFiles checks the token files, if there is a listener for them, and loads the certificate.
// An upgrade calls it twice, as the files may change between Offer and Process.
func (srv *server) checkAdminFiles() error {
	c := srv.config
	if c.Admin.Address == "" && c.Admin.Socket == "" {
		return nil
	}
	if key, err := admin.CheckTokens(c.File(c.Admin.ReadTokenFile), c.File(c.Admin.OperateTokenFile)); err != nil {
		return invalidKey(c, key, err)
	}
	return srv.loadAdminCertificate()
}

// listenAddress listens at the admin address, which must be a loopback address unless it has TLS.
// The configuration's check knows only that a name is localhost; what it resolves to is checked
// here.
func listenAddress(address string, secured bool) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, UnavailableError{fmt.Errorf("listen on %s for admin: %w; free the address, or set another by --set admin.address=127.0.0.1:0, or none by --set admin.address=", address, err)}
	}
	if ip := l.Addr().(*net.TCPAddr).IP; !secured && !ip.IsLoopback() {
		l.Close()
		return nil, UnavailableError{fmt.Errorf("listen on %s for admin: %s is not the loopback; write 127.0.0.1", address, ip)}
	}
	return l, nil
}

// socketTime is how long a process may take to accept at a socket that exists already.
const socketTime = time.Second

// listenSocket listens at a Unix socket that only this user can open. It replaces a socket at
// which no process listens, but no other file.
func listenSocket(path string) (net.Listener, error) {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, errors.New("the file that exists there is not a socket; remove it, or set another admin.socket")
	default:
		// A process that was killed leaves its socket behind. Only a connection shows whether anybody
		// listens there.
		conn, err := net.DialTimeout("unix", path, socketTime)
		if err == nil {
			conn.Close()
			return nil, errors.New("another process answers there; stop it, or set another admin.socket")
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := listenPrivately(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; make the folder %s, or set another admin.socket", err, filepath.Dir(path))
	}
	return l, err
}
