package handover

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Old is what the old process does in HandOver.
type Old interface {
	// Freeze stops everything until ctx is done. If it fails, everything continues as before.
	Freeze(ctx context.Context) error
	// Send sends all that moves.
	Send(to *Sender) error
	// Thaw undoes Freeze. It is called if anything fails after Freeze, and has to end the new
	// process before it touches a connection.
	Thaw()
}

// Ask says hello and returns what the new process offers. Every error is an *Error.
func (c *Conn) Ask(ctx context.Context, hello Hello, limits Limits) (Offer, error) {
	ctx, cancel := limited(ctx, limits.Offer, "the new process has not loaded its files")
	defer cancel()
	defer c.bound(ctx)()
	var offer Offer
	hello.Format = Format
	err := c.say(kindHello, hello)
	if err == nil {
		err = c.receiveAnswer(kindOffer, &offer)
	}
	if err == nil && offer.Format != Format {
		err = fmt.Errorf("version %q of the program speaks format %d of the handover, this one format %d; restart instead", offer.Version, offer.Format, Format)
	}
	return offer, c.fault(ctx, StepOffer, err)
}

// HandOver hands everything over to the new process, which made an offer. Without an error, the
// new process owns all that was sent, and the caller must not read from, write to or shut down any
// of it any more, only close its own descriptors; c stays open for Stop. With an error, which is an
// *Error, the old process keeps serving, and c is closed.
func (c *Conn) HandOver(ctx context.Context, old Old, limits Limits) (Counts, error) {
	moved, err := c.handOver(ctx, old, limits)
	if err != nil {
		c.Abort(err.Error())
	}
	return moved, err
}

// handOver is HandOver without telling the new process about an error. Whatever fails after Freeze, the
// caller's Thaw undoes it.
func (c *Conn) handOver(ctx context.Context, old Old, limits Limits) (moved Counts, err error) {
	freezing, cancel := limited(ctx, limits.Freeze, "not everything stopped")
	defer cancel()
	if err := old.Freeze(freezing); err != nil {
		return Counts{}, &Error{StepFreeze, err}
	}
	defer func() {
		if err != nil {
			old.Thaw()
		}
	}()
	ctx, cancel = limited(ctx, limits.Ready, "the new process is not ready")
	defer cancel()
	defer c.bound(ctx)()
	s := &Sender{conn: c}
	if err := c.fault(ctx, StepSend, s.all(old)); err != nil {
		return Counts{}, err
	}
	var adopted Counts
	if err := c.fault(ctx, StepReady, c.receiveAnswer(kindReady, &adopted)); err != nil {
		return Counts{}, err
	}
	if adopted != s.sent {
		return Counts{}, &Error{StepReady, fmt.Errorf("the new process adopted %+v of %+v", adopted, s.sent)}
	}
	// This is one small write, which reaches the new process or fails as a whole.
	return s.sent, c.fault(ctx, StepGo, c.say(kindGo, nil))
}

// limited is context.WithTimeoutCause with a sentence about what took too long.
func limited(ctx context.Context, limit time.Duration, what string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s after %s", what, limit))
}

// receiveAnswer receives the answer of that kind.
func (c *Conn) receiveAnswer(want kind, v any) error {
	f, err := c.receive()
	if err != nil {
		return err
	}
	closeAll(f.descriptors)
	if f.kind != kindRefuse {
		return f.expect(want, v)
	}
	var r reason
	if err := f.decode(&r); err != nil {
		return err
	}
	return &RefusedError{cut(r.Why)}
}

var errNewGone = errors.New("the new process ended; its last lines in the log say why")

// fault says at which step err happened, and why: because ctx is done, or because the new process
// is gone, which may have said before why it refuses.
func (c *Conn) fault(ctx context.Context, step Step, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*RefusedError)):
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, errEnded):
		if refused := c.receiveAnswer(kindReady, new(Counts)); errors.As(refused, new(*RefusedError)) {
			err = refused
		} else {
			err = errNewGone
		}
	}
	return &Error{step, err}
}

// Abort tells the new process that this one keeps serving, and closes c.
func (c *Conn) Abort(why string) { c.closeWith(kindAbort, why) }

// Stop tells the new process, after HandOver, that this one was told to stop: whoever did that does
// not know that another process serves. It closes c.
func (c *Conn) Stop() { c.closeWith(kindStop, "") }
