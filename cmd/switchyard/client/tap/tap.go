// Package tap prints the PDUs that peers send, live. It reads as fast as the server
// writes, so that the server never waits. If its own output is slower, PDUs are left out
// and counted.
package tap

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"syscall"
	"time"

	"switchyard/cmd/switchyard/client"
	"switchyard/policy/command"
	"switchyard/proxy/admin/api"
)

// Options say what is printed.
type Options struct {
	Tenants  []string        // only these, if there are any
	Commands []command.Range // only these, if there are any
	Users    []uint32        // only PDUs whose bodies name one of these, if there are any
	Sessions []uint64        // only PDUs of these senders, if there are any
	Bodies   bool
	JSON     bool          // lines of JSON, as the server sends them
	Count    uint64        // end after so many PDUs; 0 means no limit
	Time     time.Duration // end after that; 0 means no limit
}

const (
	// maxCommands is how many commands a request names. With more, the request is for all,
	// and wants leaves out the others.
	maxCommands = 256
	// grace is how much longer than Time the server may take to end.
	grace = 2 * time.Second
)

// query returns the request to the server. Its answer may have more than the options ask
// for; wants leaves that out.
func (o Options) query() client.TapQuery {
	q := client.TapQuery{Tenants: o.Tenants, Users: o.Users, Bodies: o.Bodies, Time: o.Time}
	ids := 0
	for _, r := range o.Commands {
		ids += 1 + int(r.Hi) - int(r.Lo)
	}
	if ids <= maxCommands {
		for _, r := range o.Commands {
			for id := int(r.Lo); id <= int(r.Hi); id++ {
				q.Commands = append(q.Commands, fmt.Sprintf("%#04x", id))
			}
		}
		if len(o.Sessions) == 0 {
			q.PDUs = o.Count
		}
	}
	return q
}

// wants reports whether a PDU is to be printed.
func (o Options) wants(l *client.TapLine) bool {
	if len(o.Sessions) > 0 && !slices.Contains(o.Sessions, l.Session) {
		return false
	}
	if len(o.Commands) == 0 {
		return true
	}
	id, problem := command.ID(l.Command)
	return problem == nil && slices.ContainsFunc(o.Commands, func(r command.Range) bool { return r.Lo <= id && id <= r.Hi })
}

// ErrInterrupted is the error of Run if ctx ended before the server answered.
var ErrInterrupted = errors.New("interrupted before the server had answered")

// A WriteError is a failure to write the output.
type WriteError struct{ err error }

func (e *WriteError) Error() string { return "write what peers say: " + e.err.Error() }
func (e *WriteError) Unwrap() error { return e.err }

// Why a tap ends, when that is not an error.
var (
	errInterrupted = errors.New("interrupted")
	errTime        = errors.New("the time asked for is over")
	errCount       = errors.New("as many as asked for")
)

// Begin is what Run reports when the tap has begun.
const Begin = "tapping; interrupt to end it\n"

// Run prints to out until the server ends the tap, ctx ends, or a limit of the options is
// reached, and then a summary to report. If out is a pipe without a reader, Run ends
// silently.
func Run(ctx context.Context, c *client.Client, o Options, out, report io.Writer) error {
	start := time.Now()
	query := o.query()
	caller := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if o.Time > 0 {
		timer := time.AfterFunc(o.Time+grace, func() { cancel(errTime) })
		defer timer.Stop()
	}
	t, err := c.Tap(ctx, query)
	switch {
	case err != nil && caller.Err() != nil:
		return ErrInterrupted
	case err != nil:
		return err
	}
	defer t.Close()
	fmt.Fprint(report, Begin)

	q := newQueue()
	var reading sync.WaitGroup
	defer reading.Wait() // after cancel, which ends the read
	defer cancel(nil)
	reading.Go(func() { q.end(o.read(t, q)) })

	p := &printer{options: o, out: bufio.NewWriterSize(out, 64<<10)}
	err = p.print(q)
	switch {
	case errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrClosedPipe):
		return nil
	case caller.Err() != nil:
		err = errInterrupted
	case errors.Is(err, io.EOF) && o.Time > 0 && time.Since(start) >= o.Time:
		err = errTime
	}
	cause, err := end(err)
	fmt.Fprintf(report, "%d PDUs, %d missed; ended: %s\n", p.pdus, p.missed, cause)
	return err
}

// end returns why a tap has ended, in words, and the error if it failed. A tap that its user or a
// limit has ended is a success.
func end(err error) (cause string, _ error) {
	switch {
	case errors.Is(err, io.EOF):
		return "the server stopped it", nil
	case errors.Is(err, errInterrupted), errors.Is(err, errTime), errors.Is(err, errCount):
		return err.Error(), nil
	default:
		return "it failed", err
	}
}

// read puts the lines of a tap into the queue until the tap ends. It runs in a goroutine of its own,
// which Run waits for. The server counts what it could not send in time; those PDUs are missed as
// well.
func (o Options) read(t *client.Tap, q *queue) error {
	missed := make(map[string]uint64) // by tenant, so far
	for {
		l, err := t.Next()
		if err != nil {
			return err
		}
		switch l.Kind {
		case api.TapPDU:
			if o.wants(l) {
				q.put(l)
			}
		case api.TapStatistics:
			if now, before := valueOf(l.Missed), missed[l.Tenant]; now > before {
				q.miss(l.Time, now-before)
				missed[l.Tenant] = now
			}
		}
	}
}
