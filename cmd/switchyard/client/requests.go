package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"switchyard/proxy/admin/api"
)

// maxAnswer is how long an answer may be, in bytes. Ten thousand connections take
// about six million.
const maxAnswer = 32 << 20

// Connections returns the sessions of the named tenants, or of all: at most limit of
// them, in the order sort, which is rate, lag or id.
func (c *Client) Connections(ctx context.Context, tenants []string, sort string, limit int) (*api.Connections, error) {
	all := new(api.Connections)
	query := url.Values{"tenant": tenants, "sort": {sort}, "limit": {strconv.Itoa(limit)}}
	if err := c.get(ctx, "/api/v1/connections", query, all); err != nil {
		return nil, err
	}
	return all, nil
}

// Snapshot returns the current state of the server.
func (c *Client) Snapshot(ctx context.Context) (*api.Snapshot, error) {
	s := new(api.Snapshot)
	if err := c.get(ctx, "/api/v1/snapshot", nil, s); err != nil {
		return nil, err
	}
	return s, nil
}

// get decodes the answer at a path into v.
func (c *Client) get(ctx context.Context, path string, query url.Values, v any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeouts.answer,
		fmt.Errorf("no whole answer within %v; it hangs, or the machine is overloaded: see its log", c.timeouts.answer))
	defer cancel()
	body, err := c.Open(ctx, path, query)
	if err != nil {
		return err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return c.noAnswer(ctx, err)
	}
	return c.decode(text, v)
}

// decode decodes JSON of the server.
func (c *Client) decode(text []byte, v any) error {
	if err := json.Unmarshal(text, v); err != nil {
		return c.unexpected(err)
	}
	return nil
}
