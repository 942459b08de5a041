package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Times of the connection. A server that has stopped answering is given up after 4 to 6 s.
const (
	reconnectWait   = 100 * time.Millisecond
	reconnectJitter = 100 * time.Millisecond
	pingInterval    = 2 * time.Second
	pingsOut        = 2
	dialTimeout     = 2 * time.Second
	stalled         = 4 * time.Second // a socket that takes nothing for so long is given up
)

// pendingBytes is what a subscription holds for a reader that does not keep up. What comes
// beyond is dropped by the client, and the reader gets it by direct get.
const pendingBytes = 64 << 20

// A dialer connects, and counts how often. The reader sees by that whether the connection may have
// been lost since: asking the connection would wait for a record that a full socket does not take, or
// for a server that does not answer.
type dialer struct {
	net.Dialer
	dials atomic.Uint64 // also those that failed
}

// Dial implements nats.CustomDialer. It is called before anything is read from the new connection.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	d.dials.Add(1)
	return d.Dialer.Dial(network, address)
}

// A connection is one of the client library, with what belongs to it.
type connection struct {
	dialer dialer
	conn   *nats.Conn
	js     nats.JetStreamContext
	states *nats.Subscription // owned by stateLoop
	done   chan struct{}      // closed when stateLoop has ended
	closed chan struct{}      // closed by the client library as its last act

	mu        sync.Mutex // held for moments
	cause     error      // guarded by mu: why the last attempt to connect failed
	refused   error      // guarded by mu: what the server refused last, for lack of a permission
	refusedAt time.Time  // guarded by mu
}

// connect makes a connection, which is established in the background and again whenever it breaks.
// The client library is set up so that it gives up for nothing that may heal, and keeps nothing that the
// hub says again anyhow:
//
//	RetryOnFailedConnect, MaxReconnects(-1)   the bus may come up after the hub
//	IgnoreAuthErrorAbort                      an operator may correct the user at the bus meanwhile
//	ReconnectBufSize(-1)                      appends fail at once while there is no connection
//	FlusherTimeout, PingInterval              a server that takes or says nothing is left for another
//	PermissionErrOnSubscribe                  a missing permission shows at the next message
func (l *Log) connect() (*connection, error) {
	s := l.settings
	k := &connection{dialer: dialer{Dialer: net.Dialer{Timeout: dialTimeout}}, done: make(chan struct{}), closed: make(chan struct{})}
	options := []nats.Option{
		nats.Name(fmt.Sprintf("switchyard hub %d, cluster %s, tenant %s", s.Hub, s.Cluster, s.Tenant)),
		nats.DontRandomize(),
		nats.IgnoreDiscoveredServers(), // those that the operator listed are known to be reachable
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectJitter, reconnectJitter),
		nats.ReconnectBufSize(-1), // the outbox says again what was lost
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(pingsOut),
		nats.Timeout(dialTimeout),
		nats.SetCustomDialer(&k.dialer),
		nats.FlusherTimeout(stalled),
		nats.PermissionErrOnSubscribe(true),
		nats.CustomInboxPrefix(s.inbox()),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { k.note(err) }),
		nats.ReconnectHandler(func(*nats.Conn) { l.counts.reconnects.Add(1) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { k.note(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { l.reportOnce(k, err) }),
		nats.ClosedHandler(func(*nats.Conn) { close(k.closed) }),
	}
	if s.Credentials != "" {
		if err := checkCredentials(s.Credentials); err != nil {
			return nil, err
		}
		options = append(options, nats.UserCredentials(s.Credentials))
	}
	if s.CA != "" {
		options = append(options, nats.RootCAs(s.CA))
	}
	if s.Certificate != "" {
		options = append(options, nats.ClientCert(s.Certificate, s.Key))
	}
	var err error
	if k.conn, err = nats.Connect(strings.Join(s.Servers, ","), options...); err != nil {
		return nil, fmt.Errorf("connect to the bus: %w", plain(err))
	}
	if k.js, err = k.conn.JetStream(); err == nil {
		k.states, err = k.subscribe(s.stateSubject(">"))
	}
	if err != nil {
		k.conn.Close()
		return nil, fmt.Errorf("connect to the bus: %w", err)
	}
	go l.stateLoop(k)
	return k, nil
}

// checkCredentials finds faults that the client library reports only as failed attempts to
// connect.
func checkCredentials(file string) error {
	text, err := os.ReadFile(file)
	switch {
	case err != nil:
		return fmt.Errorf("credentials of the bus: %w", err)
	case !bytes.Contains(text, []byte("BEGIN NATS USER JWT")) || !bytes.Contains(text, []byte("BEGIN USER NKEY SEED")):
		return fmt.Errorf("credentials of the bus: %s is not a file with NATS credentials: it needs a user JWT and a user's NKEY seed, as 'nsc generate creds' and 'yardbus account' write them", file)
	}
	return nil
}

// subscribe returns a subscription from which the caller takes messages one by one. Throughout the
// package, NextMsg(time.Nanosecond) takes a message that has come and does not wait for one.
func (k *connection) subscribe(subject string) (*nats.Subscription, error) {
	sub, err := k.conn.SubscribeSync(subject)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	if err := sub.SetPendingLimits(-1, pendingBytes); err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	return sub, nil
}

// flush returns when the server has taken what was said to it, subscriptions included.
func (l *Log) flush(ctx context.Context, k *connection) error {
	ctx, cancel := context.WithTimeout(ctx, l.times.answer)
	defer cancel()
	return k.conn.FlushWithContext(ctx)
}

// close disconnects, and returns when the goroutines of the connection have ended.
func (k *connection) close() {
	k.conn.Close()
	<-k.closed
	<-k.done
}

// note keeps the cause of a lost connection or of a failed attempt to connect.
func (k *connection) note(err error) {
	if err == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cause = plain(err)
}

// reportOnce notes what the server refuses, and logs it once. The client reports this apart
// from the request that was refused, which gets no answer. It also reports a broken connection
// here, which is not a refusal.
func (l *Log) reportOnce(k *connection, err error) {
	if errors.Is(err, nats.ErrSlowConsumer) {
		return // the reader sees the gap, and gets what it missed
	}
	k.mu.Lock()
	k.cause = plain(err)
	if errors.Is(err, nats.ErrPermissionViolation) {
		k.refused, k.refusedAt = plain(err), time.Now()
	}
	k.mu.Unlock()
	if !isOfConnection(err) && l.firstReport(err.Error()) {
		l.settings.Log.Warn("the bus refuses this hub", "error", plain(err))
	}
}

// isOfConnection reports whether the connection broke, which heals by itself.
func isOfConnection(err error) bool {
	return errors.As(err, new(*net.OpError)) || errors.Is(err, io.EOF)
}

// firstReport reports whether a refusal is to be logged: once, and not if it is one of too many.
func (l *Log) firstReport(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.reported[text]; known || len(l.reported) == maxReported {
		return false
	}
	l.reported[text] = struct{}{}
	return true
}

// maxReported is how many different ones are logged.
const maxReported = 64

// plain returns the error without the library's prefix, which says nothing to operators.
func plain(err error) error {
	if text, ok := strings.CutPrefix(err.Error(), "nats: "); ok {
		return &plainError{text, err}
	}
	return err
}

// A plainError is an error of the client library with another text.
type plainError struct {
	text  string
	cause error
}

func (e *plainError) Error() string { return e.text }
func (e *plainError) Unwrap() error { return e.cause }
