package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"switchyard/proxy/admin"
	"switchyard/proxy/admin/dashboard"
)

// openAdmin starts answering operators, where the configuration says.
func (y *yard) openAdmin() error {
	listeners, err := y.listenAdmin()
	if err != nil || len(listeners) == 0 {
		return err
	}
	var version strings.Builder
	if err := PrintVersion(&version); err != nil {
		return err
	}
	a, d := y.config.Admin, y.desk
	d.show(y)
	server, err := admin.Serve(listeners, admin.Facts{
		Version: version.String(), Started: d.started,
		Tenants: d.tenants, Listeners: d.listeners, Ready: d.ready, Draining: d.isStopping,
		Probes: &d.probes, Chronicle: &d.chronicle, Lines: &d.lines, Metrics: d.metrics(), Page: dashboard.Handler(), Profiles: a.PProf,
		Candidate: d.candidate, CandidateBytes: d.candidateBytes, Fuel: d.fuel,
		Reload: d.askReload, Drain: d.askDrain, Level: y.level, Configured: d.configuredLevel,
	}, admin.Options{ReadToken: y.config.File(a.ReadTokenFile), OperateToken: y.config.File(a.OperateTokenFile)}, y.log)
	if err != nil {
		for _, l := range listeners {
			l.Close()
		}
		return InvalidError{err}
	}
	y.admin = server
	for _, address := range server.Addrs() {
		y.log.Info("admin", "address", address.String())
	}
	return nil
}

// listenAdmin listens at the address and at the socket, as far as the configuration
// has them.
func (y *yard) listenAdmin() (listeners []net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
		}
	}()
	if address := y.config.Admin.Address; address != "" {
		l, err := listenLoopback(address)
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, l)
	}
	if path := y.config.File(y.config.Admin.Socket); path != "" {
		l, err := listenSocket(path)
		if err != nil {
			return listeners, UnavailableError{fmt.Errorf("listen on %s for admin: %w", path, err)}
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func listenLoopback(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, UnavailableError{fmt.Errorf("listen on %s for admin: %w; free the address, or set another by --set admin.address=127.0.0.1:0, or none by --set admin.address=", address, err)}
	}
	if ip := l.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
		l.Close()
		return nil, UnavailableError{fmt.Errorf("listen on %s for admin: %s is not the loopback; write 127.0.0.1", address, ip)}
	}
	return l, nil
}

// socketTime is how long somebody may take to answer at a socket that is there already.
const socketTime = time.Second

// listenSocket listens at a Unix socket that only this user can open. One that was left
// by a process that is gone is replaced; what is no socket is not.
func listenSocket(path string) (net.Listener, error) {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, errors.New("there is something that is no socket; remove it, or set another admin.socket")
	default:
		conn, err := net.DialTimeout("unix", path, socketTime)
		if err == nil {
			conn.Close()
			return nil, errors.New("somebody answers there; stop that one, or set another admin.socket")
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
