package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"switchyard/proxy/admin/api"
)

// A TapQuery says what a tap shows.
type TapQuery struct {
	Tenants  []string // only these, if there are any
	Commands []string // only these, by name or id, if there are any
	Users    []uint32 // only PDUs whose bodies name one of these, if there are any
	Bodies   bool
	PDUs     uint64        // end after so many; 0 means no limit
	Time     time.Duration // end after that; 0 means no limit
}

// values returns the query of the request.
func (q TapQuery) values() url.Values {
	v := url.Values{"tenant": q.Tenants, "command": q.Commands, "bodies": {strconv.FormatBool(q.Bodies)}}
	for _, user := range q.Users {
		v.Add("user", strconv.FormatUint(uint64(user), 10))
	}
	if q.PDUs > 0 {
		v.Set("pdus", strconv.FormatUint(q.PDUs, 10))
	}
	if q.Time > 0 {
		v.Set("time", q.Time.String())
	}
	return v
}

// A TapLine is one line of a tap.
type TapLine struct {
	api.TapLine
	Text []byte `json:"-"` // the line as the server sent it, valid until the next call of Next
}

// maxLine is how long a line of a tap may be, in bytes.
const maxLine = 4 << 20

// A Tap is a stream of the PDUs that peers send. It is for one goroutine.
type Tap struct {
	client *Client
	ctx    context.Context
	cancel context.CancelCauseFunc
	body   io.ReadCloser
	lines  *bufio.Scanner
	silent *time.Timer // cancels ctx while Next waits; see Tap
}

// Tap opens a tap. The server sends a line at least once a second; Next fails if none has
// arrived for timeouts.line.
func (c *Client) Tap(ctx context.Context, q TapQuery) (*Tap, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	body, err := c.Open(ctx, "/api/v1/tap", q.values())
	if err != nil {
		cancel(nil)
		return nil, err
	}
	t := &Tap{client: c, ctx: ctx, cancel: cancel, body: body, lines: bufio.NewScanner(body)}
	t.lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	t.lines.Split(completeLines)
	t.silent = time.AfterFunc(c.timeouts.line, func() {
		cancel(fmt.Errorf("the server at %s has sent nothing for %v; it hangs, or the machine is overloaded: see its log", c.server, c.timeouts.line))
	})
	t.silent.Stop() // Next starts it
	return t, nil
}

// completeLines is bufio.ScanLines, except that a last line without its end is an error.
func completeLines(data []byte, atEOF bool) (advance int, line []byte, err error) {
	if atEOF && len(data) > 0 && bytes.IndexByte(data, '\n') < 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return bufio.ScanLines(data, atEOF)
}

// Next waits for the next line. The error is io.EOF when the server has ended the tap,
// and the cause of ctx's end if that came first.
func (t *Tap) Next() (*TapLine, error) {
	t.silent.Reset(t.client.timeouts.line)
	ok := t.lines.Scan()
	t.silent.Stop()
	switch err := t.lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, t.client.unexpected(err)
	case t.ctx.Err() != nil:
		return nil, context.Cause(t.ctx)
	case ok:
	case err == nil:
		return nil, io.EOF
	default:
		return nil, fmt.Errorf("the server at %s has cut the tap off: %w; it has stopped, or this was too slow for it: begin another", t.client.server, err)
	}
	l := &TapLine{Text: t.lines.Bytes()}
	if err := t.client.decode(l.Text, l); err != nil {
		return nil, err
	}
	return l, nil
}

// Close ends the tap.
func (t *Tap) Close() {
	t.silent.Stop()
	t.cancel(nil)
	t.body.Close()
}
