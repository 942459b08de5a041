package proxy

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// TCP parameters of accepted connections. A dead peer is noticed within 30 s whether
// or not something is on the way to it.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

const userTimeout = 30 * time.Second // TCP_USER_TIMEOUT

// An Acceptor accepts connections for a tenant until it is closed.
type Acceptor struct {
	tenant   *Tenant
	listener net.Listener
	done     sync.WaitGroup
	closing  chan struct{} // closed by Close
	spare    *os.File      // a descriptor to give away when there are no more
}

// Accept starts accepting. It owns l from now on.
func (t *Tenant) Accept(l net.Listener) *Acceptor {
	a := &Acceptor{tenant: t, listener: l, closing: make(chan struct{})}
	a.spare, _ = os.Open(os.DevNull)
	a.done.Go(a.loop)
	return a
}

// Addr returns the address that is listened on.
func (a *Acceptor) Addr() net.Addr { return a.listener.Addr() }

// Close stops accepting. Connections go on.
func (a *Acceptor) Close() error {
	close(a.closing)
	err := a.listener.Close()
	a.done.Wait()
	if a.spare != nil {
		a.spare.Close()
	}
	return err
}

func (a *Acceptor) loop() {
	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for {
		conn, err := a.listener.Accept()
		if err == nil {
			pause = shortest
			tune(conn)
			if a.tenant.Serve(conn, func() {}) != nil {
				conn.Close()
			}
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		a.tenant.log.Error("accepting a connection failed; trying again", "address", a.Addr().String(), "pause", pause.String(), "error", err)
		if isExhausted(err) {
			a.turnAway()
		}
		select {
		case <-time.After(pause):
		case <-a.closing:
			return
		}
		pause = min(2*pause, longest)
	}
}

func isExhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// turnAway accepts one connection with the spare descriptor and closes it, so that a
// peer that cannot be served sees that instead of waiting.
func (a *Acceptor) turnAway() {
	if a.spare == nil {
		return
	}
	a.spare.Close()
	if l, ok := a.listener.(*net.TCPListener); ok {
		l.SetDeadline(time.Now().Add(time.Millisecond))
		if conn, err := l.Accept(); err == nil {
			conn.Close()
		}
		l.SetDeadline(time.Time{})
	}
	a.spare, _ = os.Open(os.DevNull)
}

// tune sets what a connection to a msg_server needs; TCP_NODELAY is on already.
func tune(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	tcp.SetKeepAliveConfig(keepAlive)
	setUserTimeout(tcp, userTimeout)
}
