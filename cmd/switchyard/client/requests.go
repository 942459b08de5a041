package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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
	query := url.Values{"tenant": tenants, "sort": {sort}, "limit": {strconv.Itoa(limit)}}
	return get[api.Connections](ctx, c, "/api/v1/connections", query)
}

// Snapshot returns the current state of the server.
func (c *Client) Snapshot(ctx context.Context) (*api.Snapshot, error) {
	return get[api.Snapshot](ctx, c, "/api/v1/snapshot", nil)
}

// Cluster returns the state of the named tenants, or of all, in the cluster.
func (c *Client) Cluster(ctx context.Context, tenants []string) (*api.Cluster, error) {
	return get[api.Cluster](ctx, c, "/api/v1/cluster", url.Values{"tenant": tenants})
}

// Releases returns the state of the policies of the named tenants, or of all.
func (c *Client) Releases(ctx context.Context, tenants []string) (*api.Releases, error) {
	return get[api.Releases](ctx, c, "/api/v1/releases", url.Values{"tenant": tenants})
}

// ReleaseHistory returns the last entries of the history, at most limit; with a tenant, only its
// own.
func (c *Client) ReleaseHistory(ctx context.Context, tenant string, limit int) (*api.ReleaseHistory, error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if tenant != "" {
		query.Set("tenant", tenant)
	}
	return get[api.ReleaseHistory](ctx, c, "/api/v1/releases/history", query)
}

// Receipt returns the receipt of a release.
func (c *Client) Receipt(ctx context.Context, release uint64) (*api.ReleaseReceipt, error) {
	return get[api.ReleaseReceipt](ctx, c, "/api/v1/releases/receipt", url.Values{"release": {strconv.FormatUint(release, 10)}})
}

// get returns the answer at a path.
func get[Answer any](ctx context.Context, c *Client, path string, query url.Values) (*Answer, error) {
	return exchange[Answer](ctx, c, http.MethodGet, path, query, nil)
}

// exchange makes a request and returns the answer, or nil with an error. It must be complete within
// timeouts.answer. An answer that is longer than maxAnswer is cut there and is then no JSON, which
// is an error. Fields that are not known are ignored, as a newer server may have more.
func exchange[Answer any](ctx context.Context, c *Client, method, path string, query url.Values, content []byte) (*Answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeouts.answer,
		fmt.Errorf("no whole answer within %v; it hangs, or the machine is overloaded: see its log", c.timeouts.answer))
	defer cancel()
	body, err := c.send(ctx, method, path, query, content)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return nil, c.noAnswer(ctx, err)
	}
	answer := new(Answer)
	if err := c.decode(text, answer); err != nil {
		return nil, err
	}
	return answer, nil
}

// decode decodes JSON of the server, or of whatever else answers at its address.
func (c *Client) decode(text []byte, v any) error {
	if err := json.Unmarshal(text, v); err != nil {
		return c.unexpected(err)
	}
	return nil
}
