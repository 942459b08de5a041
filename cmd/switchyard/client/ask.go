package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
)

// maxAnswer is how long an answer may be, in bytes. Ten thousand connections take
// about six million.
const maxAnswer = 32 << 20

// errOdd is the reason of an answer that no switchyard gives.
var errOdd = errors.New("what answers there does not speak as switchyard does; is it the right address, and of the same version?")

// Connections asks for the sessions of the named tenants, or of all: limit of them at
// most, in the order sort, which is rate, lag or id.
func (c *Client) Connections(ctx context.Context, tenants []string, sort string, limit int) (*Connections, error) {
	ctx, cancel := c.soon(ctx)
	defer cancel()
	body, err := c.Open(ctx, "/api/v1/connections", url.Values{"tenant": tenants, "sort": {sort}, "limit": {strconv.Itoa(limit)}})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return nil, c.unanswered(ctx, err)
	}
	all := new(Connections)
	if err := c.decode(text, all); err != nil {
		return nil, err
	}
	return all, nil
}

// Snapshot asks how everything stands now. It is the first event of the server's
// stream of them, and the stream is left again.
func (c *Client) Snapshot(ctx context.Context) (*Snapshot, error) {
	ctx, cancel := c.soon(ctx)
	defer cancel()
	body, err := c.Open(ctx, "/api/v1/events", nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	events := newLines(io.LimitReader(body, maxAnswer), maxAnswer)
	var name string
	var data []byte
	for {
		line, err := events.next()
		switch {
		case errors.Is(err, errLong), err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
			return nil, c.odd(err)
		case err != nil:
			return nil, c.unanswered(ctx, err)
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch {
		case len(line) == 0 && name == "snapshot":
			s := new(Snapshot)
			if err := c.decode(data, s); err != nil {
				return nil, err
			}
			return s, nil
		case len(line) == 0:
			name, data = "", nil
		case string(field) == "event":
			name = string(value)
		case string(field) == "data":
			data = append(append(data, value...), '\n')
		}
	}
}

// soon ends a question that is not answered in time.
func (c *Client) soon(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, c.times.answer,
		fmt.Errorf("no whole answer within %v; it hangs, or the machine is overloaded: see its log", c.times.answer))
}

func (c *Client) decode(text []byte, v any) error {
	if err := json.Unmarshal(text, v); err != nil {
		return c.odd(err)
	}
	return nil
}

// odd is the error of an answer that is not what it should be.
func (c *Client) odd(err error) error {
	return fmt.Errorf("the answer of %s: %w: %w", c.at, err, errOdd)
}
