package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"switchyard/proxy/admin/api"
)

// Requests that operate the server. A Refusal with 422 means that something was refused and the rest
// carried out, so its body is an answer as well.

// Reload asks the server to read its configuration, policies and certificates again, and returns what
// became of each when all are loaded. The error is nil also if something was refused.
func (c *Client) Reload(ctx context.Context) (*api.Reload, error) {
	c, close := c.slowly()
	defer close()
	result, err := exchange[api.Reload](ctx, c, http.MethodPost, "/api/v1/reload", nil, nil)
	if refusal, ok := errors.AsType[*Refusal](err); ok && refusal.Status == http.StatusUnprocessableEntity {
		result = new(api.Reload)
		if json.Unmarshal(refusal.answer, result) == nil {
			return result, nil
		}
	}
	return result, err
}

// ChangeRelease changes a tenant's policy: verb is one of the constants of package
// admin, such as rollback. The server may load a policy before it answers.
func (c *Client) ChangeRelease(ctx context.Context, verb string, r api.ReleaseRequest) (*api.Release, error) {
	c, close := c.slowly()
	defer close()
	return request[api.Release](ctx, c, http.MethodPost, "/api/v1/releases/"+verb, r)
}

// Upgrade asks the server to put another program in its place, or to check whether that is
// possible, and returns the result. If the new program could not take over, the result says why,
// and the error is nil.
func (c *Client) Upgrade(ctx context.Context, r api.UpgradeRequest) (*api.Upgrade, error) {
	patient, close := c.slowly()
	defer close()
	result, err := request[api.Upgrade](ctx, patient, http.MethodPost, "/api/v1/upgrade", r)
	if refusal, ok := errors.AsType[*Refusal](err); ok && refusal.Status == http.StatusUnprocessableEntity {
		return c.LastUpgrade(ctx)
	}
	return result, err
}

// LastUpgrade returns the last upgrade, or the one that is under way.
func (c *Client) LastUpgrade(ctx context.Context) (*api.Upgrade, error) {
	return get[api.Upgrade](ctx, c, "/api/v1/upgrade", nil)
}

// slowly returns the client for a request that the server answers only when it has loaded policies or
// started another program: it waits for timeouts.slow. close closes its connections.
func (c *Client) slowly() (slow *Client, close func()) {
	copied := *c
	copied.timeouts.answer = c.timeouts.slow
	copied.transport = c.transport.Clone()
	copied.transport.ResponseHeaderTimeout = c.timeouts.slow
	copied.http.Transport = copied.transport
	return &copied, copied.Close
}

// Drain makes the server drain and stop.
func (c *Client) Drain(ctx context.Context) (*api.Drain, error) {
	return exchange[api.Drain](ctx, c, http.MethodPost, "/api/v1/drain", nil, nil)
}

// LogLevel returns the level from which the server logs.
func (c *Client) LogLevel(ctx context.Context) (*api.LogLevel, error) {
	return get[api.LogLevel](ctx, c, "/api/v1/log-level", nil)
}

// SetLogLevel sets the level from which the server logs, and returns it.
func (c *Client) SetLogLevel(ctx context.Context, level string) (*api.LogLevel, error) {
	return request[api.LogLevel](ctx, c, http.MethodPut, "/api/v1/log-level", api.LogLevel{Level: level})
}

// Tenants returns everything about all tenants.
func (c *Client) Tenants(ctx context.Context) (*api.Tenants, error) {
	return get[api.Tenants](ctx, c, "/api/v1/tenants", nil)
}

// CloseConnection closes the connection of one peer. It does not wait for its end.
func (c *Client) CloseConnection(ctx context.Context, r api.CloseRequest) (*api.Closed, error) {
	return request[api.Closed](ctx, c, http.MethodPost, "/api/v1/connections/close", r)
}

// request makes a request with a body of JSON, and returns the answer.
func request[Answer any](ctx context.Context, c *Client, method, path string, body any) (*Answer, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return exchange[Answer](ctx, c, method, path, nil, text)
}
