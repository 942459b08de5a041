package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
)

// New is what the new process does in TakeOver. It owns the sockets and the memory that it is
// handed, even if it returns an error, and neither reads from, writes to nor accepts at any of the
// sockets before TakeOver has returned without an error.
type New interface {
	// Offer returns what this process could serve with. The old one has the version in hello.
	Offer(hello Hello) (Offer, error)
	// Listener takes a listening socket, of TCP or Unix.
	Listener(record json.RawMessage, socket net.Listener) error
	// Process takes a record about the process as a whole.
	Process(record json.RawMessage) error
	// Tenant takes the record of the next tenant.
	Tenant(record json.RawMessage) error
	// Presence takes a part of the presence of the tenant that came last.
	Presence(chunk []byte) error
	// Session takes a connection of the tenant that came last, with what was read from it and
	// not handled, and what is to be written to it.
	Session(state json.RawMessage, conn *net.TCPConn, input, due []byte) error
	// Ready is called once everything has arrived.
	Ready() error
}

// TakeOver takes everything over from the old process. Without an error, this process owns all
// that arrived, and the old one has let go. With an error it owns nothing, and has to close all
// that it was handed, or end: the old process keeps serving, or is gone. The error is ErrGone or
// ErrAborted if the old process caused it. c is closed if there is an error.
//
// When ctx is done, this process gives up, unless it has said that it is ready: then only the old
// process decides, which has a time limit and closes the stream. Otherwise it might say go to
// nobody.
func (c *Conn) TakeOver(ctx context.Context, n New) error {
	release := sync.OnceFunc(c.bound(ctx))
	defer release()
	if err := c.takeOver(n, release); err != nil {
		defer c.Close()
		return c.refuse(ctx, err)
	}
	return nil
}

// AwaitStop waits, after TakeOver, until the old process has ended, and reports whether it was told
// to stop before. It closes c, and returns false if another goroutine does.
func (c *Conn) AwaitStop() bool {
	defer c.Close()
	f, err := c.receive()
	closeAll(f.descriptors)
	return err == nil && f.kind == kindStop
}

// takeOver calls ready before it says that this process is ready.
func (c *Conn) takeOver(n New, ready func()) error {
	if err := c.offer(n); err != nil {
		return err
	}
	r := receiver{to: n}
	for {
		f, err := c.receive()
		switch {
		case err != nil:
			return err
		case f.kind == kindAbort:
			return aborted(f)
		case f.kind == kindGo && r.isReady:
			closeAll(f.descriptors) // there should be none
			return nil
		}
		if err := r.take(f); err != nil {
			return err
		}
		if r.isReady {
			ready()
			if err := c.say(kindReady, r.taken); err != nil {
				return err
			}
		}
	}
}

// offer answers hello.
func (c *Conn) offer(n New) error {
	f, err := c.receive()
	if err != nil {
		return err
	}
	closeAll(f.descriptors)
	if f.kind == kindAbort {
		return aborted(f)
	}
	var hello Hello
	if err := f.expect(kindHello, &hello); err != nil {
		return err
	}
	if hello.Format != Format {
		return fmt.Errorf("the running program, version %q, speaks format %d of the handover and this one format %d; restart instead", hello.Version, hello.Format, Format)
	}
	offer, err := n.Offer(hello)
	if err != nil {
		return err
	}
	offer.Format = Format
	return c.say(kindOffer, offer)
}

// refuse tells the old process why this one does not take over, unless the old one caused it, and
// returns the reason.
func (c *Conn) refuse(ctx context.Context, why error) error {
	switch {
	case ctx.Err() != nil:
		why = context.Cause(ctx)
	case errors.Is(why, ErrAborted):
		return why
	case errors.Is(why, errEnded):
		return ErrGone
	}
	c.Refuse(why)
	return why
}

// Refuse tells the old process why this one cannot make an offer, and closes c.
func (c *Conn) Refuse(why error) {
	c.closeWith(kindRefuse, why.Error())
}

// aborted returns the error for the message abort.
func aborted(f frame) error {
	closeAll(f.descriptors)
	var r reason
	if err := f.decode(&r); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", ErrAborted, cut(r.Why))
}

// A receiver hands what arrives to a New.
type receiver struct {
	to      New
	taken   Counts
	isReady bool // end has arrived, and nothing may follow but go or abort
}

// take takes the descriptors and the bytes of a frame.
func (r *receiver) take(f frame) error {
	if r.isReady {
		closeAll(f.descriptors)
		return fmt.Errorf("the old process says %v after end", f.kind)
	}
	switch f.kind {
	case kindListener:
		return r.listener(f)
	case kindSessions:
		return r.sessions(f)
	}
	closeAll(f.descriptors)
	switch f.kind {
	case kindProcess:
		r.taken.Processes++
		return r.to.Process(f.header)
	case kindTenant:
		r.taken.Tenants++
		return r.to.Tenant(f.header)
	case kindPresence:
		r.taken.Presence += len(f.body)
		if err := r.inTenant(f.kind); err != nil {
			return err
		}
		return r.to.Presence(f.body)
	case kindEnd:
		return r.end(f)
	default:
		return fmt.Errorf("the old process says %v instead of what it hands over", f.kind)
	}
}

// inTenant returns an error unless a tenant has come before the message.
func (r *receiver) inTenant(k kind) error {
	if r.taken.Tenants == 0 {
		return fmt.Errorf("the old process says %v before any tenant", k)
	}
	return nil
}

// listener takes a listening socket, and its descriptor in any case.
func (r *receiver) listener(f frame) error {
	if len(f.descriptors) != 1 {
		closeAll(f.descriptors)
		return fmt.Errorf("%v came with %d descriptors, want 1", f.kind, len(f.descriptors))
	}
	socket, err := listener(f.descriptors[0])
	if err != nil {
		return fmt.Errorf("listener: %w", err)
	}
	r.taken.Listeners++
	return r.to.Listener(f.header, socket)
}

// sessions takes a batch of sessions. The descriptors of those behind a faulty one are closed.
func (r *receiver) sessions(f frame) error {
	batch, err := parseSessions(f)
	if err == nil {
		err = r.inTenant(f.kind)
	}
	if err != nil {
		closeAll(f.descriptors)
		return err
	}
	body := f.body
	for i, s := range batch {
		if err := r.session(s, f.descriptors[i], body[:s.Input:s.Input], body[s.Input:s.Input+s.Due:s.Input+s.Due]); err != nil {
			closeAll(f.descriptors[i+1:])
			return err
		}
		body = body[s.Input+s.Due:]
	}
	return nil
}

// parseSessions returns the records of a batch, whose lengths add up to that of the body.
func parseSessions(f frame) (batch []session, err error) {
	if err := f.decode(&batch); err != nil {
		return nil, err
	}
	if len(batch) != len(f.descriptors) {
		return nil, fmt.Errorf("%v has %d records and %d descriptors", f.kind, len(batch), len(f.descriptors))
	}
	rest := len(f.body)
	for i, s := range batch {
		if s.Input < 0 || s.Input > rest || s.Due < 0 || s.Due > rest-s.Input {
			return nil, fmt.Errorf("%v: record %d claims %d and %d bytes, of %d", f.kind, i, s.Input, s.Due, rest)
		}
		rest -= s.Input + s.Due
	}
	if rest > 0 {
		return nil, fmt.Errorf("%v has %d bytes that no record claims", f.kind, rest)
	}
	return batch, nil
}

// session takes one session, and its descriptor in any case.
func (r *receiver) session(s session, descriptor int, input, due []byte) error {
	conn, err := tcpConn(descriptor)
	if err != nil {
		return fmt.Errorf("session: %w", err)
	}
	r.taken.Sessions++
	return r.to.Session(s.State, conn, input, due)
}

// end checks that everything has arrived.
func (r *receiver) end(f frame) error {
	var sent Counts
	if err := f.decode(&sent); err != nil {
		return err
	}
	if sent != r.taken {
		return fmt.Errorf("of %+v arrived %+v", sent, r.taken)
	}
	r.isReady = true
	return r.to.Ready()
}
