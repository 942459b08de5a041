package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"switchyard/policy/wasm"
	"switchyard/proxy"
	"switchyard/proxy/config"
	"switchyard/proxy/tenant"
)

// load finds and reads the configuration, and says why it is that one.
func (o *options) load() (c *config.Config, why string, err error) {
	path, why := config.Find(o.config, o.env)
	overrides := make(map[string]string)
	for _, entry := range o.set {
		key, value, ok := strings.Cut(entry, "=")
		if !ok {
			return nil, why, usageError{fmt.Errorf("--set %s has no value; write KEY=VALUE, as in --set peer.timeout=40s", entry)}
		}
		overrides[key] = value
	}
	if o.listen != "" {
		overrides["listener.0.address"] = o.listen
	}
	if o.policy != "" {
		c, err := config.Load(path, o.env, overrides)
		if err != nil {
			return nil, why, err
		}
		first := c.Listeners[0]
		if first.Tenant == "" {
			return nil, why, usageError{fmt.Errorf("--policy is for the tenant of the first listener, and that at %s has several; write --set tenant.%s.policy=%s, or another tenant's", first.Address, first.Tenants[0], o.policy)}
		}
		overrides["tenant."+first.Tenant+".policy"] = fromHere(o.policy)
	}
	c, err = config.Load(path, o.env, overrides)
	return c, why, err
}

// fromHere makes the path of a policy named on the command line start at the working
// directory; in the configuration it would start at that file's.
func fromHere(policy string) string {
	if path, ok := strings.CutPrefix(policy, "file:"); ok && path != "" {
		if abs, err := filepath.Abs(path); err == nil {
			return "file:" + abs
		}
	}
	return policy
}

// limitsOf returns what the configuration says of one tenant's peers.
func limitsOf(c *config.Config, t config.Tenant) proxy.Limits {
	return proxy.Limits{
		Heartbeat:    time.Duration(c.Peer.Heartbeat),
		Timeout:      time.Duration(c.Peer.Timeout),
		WriteTimeout: time.Duration(c.Peer.WriteTimeout),
		MaxPDU:       int(c.Peer.MaxPDU),
		LagHard:      uint64(t.Limits.LagHard),
		LagSoft:      uint64(t.Limits.LagSoft),
		LagSoftTime:  time.Duration(t.Limits.LagSoftTime),
		FirstPDU:     time.Duration(c.Peer.FirstPDU),
		Connections:  int(t.Limits.Connections),
		LogBytes:     uint64(t.Limits.Log),
		Users:        int(t.Limits.Users),
		PeerUsers:    int(t.Limits.PeerUsers),
		Quota:        quotaOf(t.Quota),
	}
}

// quotaOf returns what the configuration says of how much a tenant's peers may say.
func quotaOf(q config.Quota) tenant.Quota {
	quota := tenant.Quota{
		Tenant: tenant.Rates{PDUsIn: uint64(q.PDUsIn), BytesIn: uint64(q.BytesIn), BytesOut: uint64(q.BytesOut)},
		Peer:   tenant.Rates{PDUsIn: uint64(q.PeerPDUsIn), BytesIn: uint64(q.PeerBytesIn), BytesOut: uint64(q.PeerBytesOut)},
	}
	if q.OnBreach == "drop" {
		quota.OnBreach = tenant.Drop
	}
	return quota
}

// guestLimits returns what the configuration says of policies.
func guestLimits(c *config.Config) wasm.Limits {
	l := wasm.DefaultLimits()
	l.ModuleBytes = int64(c.WASM.ModuleSize)
	l.MemoryPages = uint32(c.WASM.Memory / (64 << 10))
	l.Fuel = uint64(c.WASM.Fuel)
	l.Depth = uint32(c.WASM.Depth)
	l.BodyBytes = int(c.WASM.Body)
	l.LoadTime = time.Duration(c.WASM.LoadTime)
	return l
}
