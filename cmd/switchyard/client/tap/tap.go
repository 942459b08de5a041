// Package tap prints what peers say while they say it. It takes in what the server
// sends as fast as it comes, so that the server needs not wait; what its reader does not
// take in time is left out, and counted.
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
)

// Options say what is printed.
type Options struct {
	Tenants  []string        // these alone, if there are any
	Commands []command.Range // likewise
	Users    []uint32        // PDUs whose bodies name one of these, if there are any
	Sessions []uint64        // what these say, if there are any
	Bodies   bool
	JSON     bool          // lines of JSON, as the server has them
	Count    uint64        // end after so many PDUs; 0 is no limit
	Time     time.Duration // end after that; 0 is no limit
}

const (
	// mostCommands is how many commands are asked for by id. Of more, all are asked for,
	// and those that are not wanted are left out here.
	mostCommands = 256
	// grace is how much longer than Time is waited for the server to end.
	grace = 2 * time.Second
)

// query returns what the server is asked for. What of its answer is not wanted is left
// out here.
func (o Options) query() client.TapQuery {
	q := client.TapQuery{Tenants: o.Tenants, Users: o.Users, Bodies: o.Bodies, Time: o.Time}
	all := 0
	for _, r := range o.Commands {
		all += 1 + int(r.Hi) - int(r.Lo)
	}
	if all <= mostCommands {
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

// ErrInterrupted is the error of Run when it was ended before the server had begun.
var ErrInterrupted = errors.New("interrupted before the server had answered")

// A WriteError is that what there was could not be written.
type WriteError struct{ err error }

func (e *WriteError) Error() string { return "write what peers say: " + e.err.Error() }
func (e *WriteError) Unwrap() error { return e.err }

// Why a tap ends.
var (
	errInterrupted = errors.New("interrupted")
	errTime        = errors.New("the time asked for is over")
	errCount       = errors.New("as many as asked for")
)

// Begin is what Run says when the server has begun.
const Begin = "tapping; interrupt to end it\n"

// Run prints to out until the server ends, ctx does, or as much was printed as was asked
// for, and then a summary to report. When nobody reads out any more, it ends without a
// word.
func Run(ctx context.Context, client *client.Client, o Options, out, report io.Writer) error {
	begun := time.Now()
	query := o.query()
	interrupted := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if o.Time > 0 {
		timer := time.AfterFunc(o.Time+grace, func() { cancel(errTime) })
		defer timer.Stop()
	}
	t, err := client.Tap(ctx, query)
	switch {
	case err != nil && interrupted.Err() != nil:
		return ErrInterrupted
	case err != nil:
		return err
	}
	defer t.Close()
	fmt.Fprint(report, Begin)

	q := newQueue()
	var reading sync.WaitGroup
	defer reading.Wait() // after cancel, which ends it
	defer cancel(nil)
	reading.Go(func() { q.end(o.read(t, q)) })

	p := &printer{options: o, out: bufio.NewWriterSize(out, 64<<10)}
	err = p.print(q)
	switch {
	case errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrClosedPipe):
		return nil
	case interrupted.Err() != nil:
		err = errInterrupted
	case errors.Is(err, io.EOF) && o.Time > 0 && time.Since(begun) >= o.Time:
		err = errTime
	}
	ended, why := end(err)
	fmt.Fprintf(report, "%d PDUs, %d missed; ended: %s\n", p.pdus, p.missed, ended)
	return why
}

// end says why a tap has ended, and returns the error if that is one.
func end(err error) (string, error) {
	switch {
	case errors.Is(err, io.EOF):
		return "the server stopped it", nil
	case errors.Is(err, errInterrupted), errors.Is(err, errTime), errors.Is(err, errCount):
		return err.Error(), nil
	default:
		return "it failed", err
	}
}

// read takes in what the server sends, until it ends.
func (o Options) read(t *client.Tap, q *queue) error {
	missed := map[string]uint64{} // by tenant, so far
	for {
		l, err := t.Next()
		if err != nil {
			return err
		}
		switch l.Kind {
		case client.KindPDU:
			if o.wants(l) {
				q.put(l)
			}
		case client.KindStatistics:
			if more := l.Missed - missed[l.Tenant]; l.Missed > missed[l.Tenant] {
				q.miss(l.Time, more)
				missed[l.Tenant] = l.Missed
			}
		}
	}
}
