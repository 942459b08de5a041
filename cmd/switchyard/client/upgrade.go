package client

import (
	"context"
	"errors"
	"net/http"
	"time"

	"switchyard/proxy/admin/api"
)

// upgradeTime is how long an upgrade or a reload may take. In an upgrade, the server gives the new
// program 10 s to print its version, 30 s to load everything and 7 s to take over.
const upgradeTime = time.Minute

// patiently makes requests by do that the server answers late.
func (c *Client) patiently(do func(*Client) error) error {
	patient := *c
	patient.transport = c.transport.Clone()
	patient.transport.ResponseHeaderTimeout = upgradeTime
	patient.http.Transport = patient.transport
	defer patient.Close()
	return do(&patient)
}

// Upgrade asks the server to put another program in its place, or to check whether that is
// possible, and returns the result. If the new program could not take over, the result says why,
// and the error is nil.
func (c *Client) Upgrade(ctx context.Context, r api.UpgradeRequest) (*api.Upgrade, error) {
	result := new(api.Upgrade)
	err := c.patiently(func(c *Client) error { return c.request(ctx, http.MethodPost, "/api/v1/upgrade", r, result) })
	if refusal, ok := errors.AsType[*Refusal](err); ok && refusal.Status == http.StatusUnprocessableEntity {
		return c.LastUpgrade(ctx)
	}
	return result, err
}

// LastUpgrade returns the last upgrade, or the one that is under way.
func (c *Client) LastUpgrade(ctx context.Context) (*api.Upgrade, error) {
	u := new(api.Upgrade)
	if err := c.get(ctx, "/api/v1/upgrade", nil, u); err != nil {
		return nil, err
	}
	return u, nil
}
