package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"switchyard/proxy/admin/api"
)

// Requests that operate the server.

// Reload asks the server to read its configuration, policies and certificates again, for as long as ctx
// lasts, and returns what became of each. The error is nil also if something was refused.
func (c *Client) Reload(ctx context.Context) (*api.Reload, error) {
	result := new(api.Reload)
	err := c.patiently(func(c *Client) error { return c.exchange(ctx, http.MethodPost, "/api/v1/reload", nil, nil, result) })
	if refusal, ok := errors.AsType[*Refusal](err); ok && refusal.Status == http.StatusUnprocessableEntity && json.Unmarshal(refusal.answer, result) == nil {
		return result, nil
	}
	return result, err
}

// Drain has the server stop.
func (c *Client) Drain(ctx context.Context) (*api.Drain, error) {
	result := new(api.Drain)
	return result, c.exchange(ctx, http.MethodPost, "/api/v1/drain", nil, nil, result)
}

// LogLevel returns the level from which the server logs.
func (c *Client) LogLevel(ctx context.Context) (*api.LogLevel, error) {
	level := new(api.LogLevel)
	return level, c.get(ctx, "/api/v1/log-level", nil, level)
}

// SetLogLevel sets the level from which the server logs, and returns it.
func (c *Client) SetLogLevel(ctx context.Context, level string) (*api.LogLevel, error) {
	result := new(api.LogLevel)
	return result, c.request(ctx, http.MethodPut, "/api/v1/log-level", api.LogLevel{Level: level}, result)
}

// Tenants returns everything about all tenants.
func (c *Client) Tenants(ctx context.Context) (*api.Tenants, error) {
	all := new(api.Tenants)
	return all, c.get(ctx, "/api/v1/tenants", nil, all)
}

// CloseConnection closes the connection of one peer. It does not wait for its end.
func (c *Client) CloseConnection(ctx context.Context, r api.CloseRequest) (*api.Closed, error) {
	result := new(api.Closed)
	return result, c.request(ctx, http.MethodPost, "/api/v1/connections/close", r, result)
}

// request makes a request with a body of JSON, and decodes the answer into v.
func (c *Client) request(ctx context.Context, method, path string, body, v any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.exchange(ctx, method, path, nil, text, v)
}
