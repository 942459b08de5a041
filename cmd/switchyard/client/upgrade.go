package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"switchyard/proxy/admin/api"
)

// upgradeTime is how long an upgrade may take: the server gives the new program 10 s to print its
// version, 30 s to load everything and 7 s to take over.
const upgradeTime = time.Minute

// Upgrade asks the server to put another program in its place, or to check whether that is
// possible, and returns the result. If the new program could not take over, the result says why,
// and the error is nil.
func (c *Client) Upgrade(ctx context.Context, r api.UpgradeRequest) (*api.Upgrade, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	patient := *c
	patient.transport = c.transport.Clone()
	patient.transport.ResponseHeaderTimeout = upgradeTime
	patient.http.Transport = patient.transport
	defer patient.Close()
	result := new(api.Upgrade)
	err = patient.exchange(ctx, http.MethodPost, "/api/v1/upgrade", nil, text, result)
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
