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

// Cluster returns what the named tenants, or all, are in the cluster.
func (c *Client) Cluster(ctx context.Context, tenants []string) (*api.Cluster, error) {
	all := new(api.Cluster)
	if err := c.get(ctx, "/api/v1/cluster", url.Values{"tenant": tenants}, all); err != nil {
		return nil, err
	}
	return all, nil
}

// Releases returns the state of the policies of the named tenants, or of all.
func (c *Client) Releases(ctx context.Context, tenants []string) (*api.Releases, error) {
	all := new(api.Releases)
	if err := c.get(ctx, "/api/v1/releases", url.Values{"tenant": tenants}, all); err != nil {
		return nil, err
	}
	return all, nil
}

// ReleaseHistory returns the last entries of the history, at most limit; with a tenant, only its
// own.
func (c *Client) ReleaseHistory(ctx context.Context, tenant string, limit int) (*api.ReleaseHistory, error) {
	some, query := new(api.ReleaseHistory), url.Values{"limit": {strconv.Itoa(limit)}}
	if tenant != "" {
		query.Set("tenant", tenant)
	}
	if err := c.get(ctx, "/api/v1/releases/history", query, some); err != nil {
		return nil, err
	}
	return some, nil
}

// Receipt returns the receipt of a release.
func (c *Client) Receipt(ctx context.Context, release uint64) (*api.ReleaseReceipt, error) {
	r := new(api.ReleaseReceipt)
	if err := c.get(ctx, "/api/v1/releases/receipt", url.Values{"release": {strconv.FormatUint(release, 10)}}, r); err != nil {
		return nil, err
	}
	return r, nil
}

// ChangeRelease changes a tenant's policy: verb is one of the constants of package
// admin, such as rollback. The server may load a policy before it answers, for as long as ctx lasts.
func (c *Client) ChangeRelease(ctx context.Context, verb string, r api.ReleaseRequest) (*api.Release, error) {
	result := new(api.Release)
	return result, c.request(ctx, http.MethodPost, "/api/v1/releases/"+verb, r, result)
}

// get decodes the answer at a path into v.
func (c *Client) get(ctx context.Context, path string, query url.Values, v any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeouts.answer,
		fmt.Errorf("no whole answer within %v; it hangs, or the machine is overloaded: see its log", c.timeouts.answer))
	defer cancel()
	return c.exchange(ctx, http.MethodGet, path, query, nil, v)
}

// exchange makes a request and decodes the answer into v. An answer that is longer than maxAnswer is
// cut there and is then no JSON, which is an error. Fields that are not known are ignored, as a newer
// server may have more.
func (c *Client) exchange(ctx context.Context, method, path string, query url.Values, content []byte, v any) error {
	body, err := c.send(ctx, method, path, query, content)
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
