package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"
)

// A TapQuery says what a tap shows.
type TapQuery struct {
	Tenants  []string // these alone, if there are any
	Commands []string // likewise, by name or id
	Users    []uint32 // PDUs whose bodies name one of these, if there are any
	Bodies   bool
	PDUs     uint64        // end after so many; 0 is no limit
	Time     time.Duration // end after that; 0 is no limit
}

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

// Kinds of lines.
const (
	KindPDU        = "pdu"
	KindStatistics = "statistics"
)

// A TapLine is one line of a tap.
type TapLine struct {
	Kind    string          `json:"kind"`
	Time    time.Time       `json:"time"`
	Tenant  string          `json:"tenant"`
	Session uint64          `json:"session"`
	Service string          `json:"service"`
	Command string          `json:"command"`
	Seq     uint16          `json:"seq"`
	Length  int             `json:"length"` // header included
	Verdict string          `json:"verdict"`
	Action  string          `json:"action"`
	Fault   string          `json:"fault"`  // how the policy failed to decide
	Body    json.RawMessage `json:"body"`   // if bodies were asked for and it is a message
	Hex     string          `json:"hex"`    // the body, if it is none or too long
	Cut     bool            `json:"cut"`    // Hex is only the beginning
	Missed  uint64          `json:"missed"` // of statistics: PDUs not taken in time so far
	PDUs    uint64          `json:"pdus"`   // of statistics: lines of kind pdu so far
	Text    []byte          `json:"-"`      // the line as it came, valid until the next
}

// maxLine is how long a line of a tap may be, in bytes.
const maxLine = 4 << 20

// A Tap is what peers say, as it comes. Its lines are for one goroutine.
type Tap struct {
	client *Client
	ctx    context.Context
	cancel context.CancelCauseFunc
	body   io.ReadCloser
	lines  *lines
	silent *time.Timer // ends the tap of a server that says nothing any more
}

// Tap begins a tap. The server says something at least once a second; of one that has
// said nothing for a while, nothing more is expected.
func (c *Client) Tap(ctx context.Context, q TapQuery) (*Tap, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	body, err := c.Open(ctx, "/api/v1/tap", q.values())
	if err != nil {
		cancel(nil)
		return nil, err
	}
	t := &Tap{client: c, ctx: ctx, cancel: cancel, body: body, lines: newLines(body, maxLine)}
	t.silent = time.AfterFunc(c.times.line, func() {
		cancel(fmt.Errorf("the server at %s has said nothing for %v; it hangs, or the machine is overloaded: see its log", c.at, c.times.line))
	})
	t.silent.Stop() // until somebody waits
	return t, nil
}

// Next waits for the next line. The error is io.EOF when the server has ended the tap,
// and the cause of ctx's end if that came first.
func (t *Tap) Next() (*TapLine, error) {
	t.silent.Reset(t.client.times.line)
	text, err := t.lines.next()
	t.silent.Stop()
	switch {
	case errors.Is(err, errLong):
		return nil, t.client.odd(err)
	case t.ctx.Err() != nil:
		return nil, context.Cause(t.ctx)
	case err == io.EOF:
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("the server at %s has cut the tap off: %w; it has stopped, or this was too slow for it: begin another", t.client.at, err)
	}
	l := &TapLine{Text: text}
	if err := t.client.decode(text, l); err != nil {
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
