// Package top shows how the running server stands: its tenants, what commands are said
// in them, and who says it, by rate and by lag. It asks, compares and lays out; the
// terminal and the network are others' business.
//
//	take     one sample: a snapshot, and the sessions that come first
//	compare  two samples, which makes rates
//	page     a standing, for a window
package top

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"switchyard/cmd/switchyard/client"
)

// A Sort is what comes first.
type Sort string

// Sorts. Commands have no lag, and go by rate instead.
const (
	ByRate Sort = "rate" // bytes a second from peers, and PDUs a second of commands
	ByLag  Sort = "lag"
	ByName Sort = "name" // peers by tenant and session
)

// Sorts are all of them.
var Sorts = []Sort{ByRate, ByLag, ByName}

// Options say what is shown.
type Options struct {
	Tenants  []string // these alone, if there are any
	Sort     Sort
	Interval time.Duration // between two samples; above 0
	Limit    int           // how many peers are asked for at most
}

// A Server is asked. Its methods may be called from one goroutine at a time.
type Server interface {
	Server() string
	Snapshot(context.Context) (*client.Snapshot, error)
	Connections(ctx context.Context, tenants []string, sort string, limit int) (*client.Connections, error)
}

// A sample is how everything stood at one moment.
type sample struct {
	at       time.Time // when the connections were told, by the clock here
	snapshot *client.Snapshot
	sessions *client.Connections
}

func (o Options) take(ctx context.Context, server Server) (*sample, error) {
	snapshot, err := server.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	sort := string(o.Sort)
	if o.Sort == ByName {
		sort = "id"
	}
	sessions, err := server.Connections(ctx, o.Tenants, sort, o.Limit)
	if err != nil {
		return nil, err
	}
	if len(o.Tenants) > 0 {
		snapshot.Tenants = slices.DeleteFunc(snapshot.Tenants, func(t client.Tenant) bool { return !slices.Contains(o.Tenants, t.Tenant) })
	}
	return &sample{time.Now(), snapshot, sessions}, nil
}

// ErrInterrupted is the error of Once when it was ended before it had anything to tell.
var ErrInterrupted = errors.New("interrupted before the interval was over")

// Once takes two samples, an interval apart, and compares them.
func Once(ctx context.Context, server Server, o Options) (*Standing, error) {
	before, err := o.take(ctx, server)
	if err != nil {
		return nil, orInterrupted(ctx, err)
	}
	timer := time.NewTimer(o.Interval)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, ErrInterrupted
	}
	now, err := o.take(ctx, server)
	if err != nil {
		return nil, orInterrupted(ctx, err)
	}
	s := compare(server.Server(), before, now)
	s.sort(o.Sort)
	return s, nil
}

func orInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	return err
}

// sort puts first what is to come first. What is equal stands by name, so that it stays
// where it is.
func (s *Standing) sort(by Sort) {
	slices.SortFunc(s.Tenants, func(a, b Tenant) int {
		first := 0
		switch by {
		case ByRate:
			first = cmp.Compare(b.Rates.BytesIn, a.Rates.BytesIn)
		case ByLag:
			first = cmp.Compare(b.Lag, a.Lag)
		}
		return cmp.Or(first, cmp.Compare(a.Tenant, b.Tenant))
	})
	slices.SortFunc(s.Commands, func(a, b Command) int {
		first := cmp.Compare(b.Rate, a.Rate)
		if by == ByName {
			first = 0
		}
		return cmp.Or(first, cmp.Compare(a.Command, b.Command), cmp.Compare(a.Tenant, b.Tenant))
	})
	slices.SortFunc(s.Peers, func(a, b Peer) int {
		first := 0
		switch by {
		case ByRate:
			first = cmp.Compare(b.Rates.BytesIn, a.Rates.BytesIn)
		case ByLag:
			first = cmp.Compare(b.Lag, a.Lag)
		}
		return cmp.Or(first, cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Session, b.Session))
	})
}
