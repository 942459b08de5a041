package server

import (
	"time"

	"switchyard/policy/wasm"
	"switchyard/proxy"
	"switchyard/proxy/config"
	"switchyard/proxy/tenant"
)

// limitsOf returns the configured limits of one tenant.
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
		ClientTypes:  c.Protocol.Clients(),
	}
}

// quotaOf returns the configured quota of one tenant.
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

// guestLimits returns the configured limits of policies.
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
