// Package top displays the state of the running server: its tenants, the commands that peers send and
// the peers, by rate and by lag. It does not draw on the terminal itself, and opens no connections.
//
//	Server -> take -> sample \
//	                          compare -> Report -> page -> Screen
//	Server -> take -> sample /
//
//	top.go      samples, and their order
//	report.go   two samples compared; its JSON is that of --once --json
//	page.go     a report laid out for a window; tables.go, table.go and cluster.go: its parts
//	live.go     the loop that draws again and again
package top

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"switchyard/proxy/admin/api"
)

// A Sort is the order of the rows.
type Sort string

// Sorts. Commands have no lag; they are sorted by rate instead.
const (
	ByRate Sort = "rate" // bytes per second from peers; for commands, PDUs per second
	ByLag  Sort = "lag"
	ByName Sort = "name" // peers by tenant and session
)

// Sorts are all of them.
var Sorts = []Sort{ByRate, ByLag, ByName}

// Options say what is displayed.
type Options struct {
	Tenants  []string // only these, if there are any
	Sort     Sort
	Interval time.Duration // between two samples; above 0
	Limit    int           // of peers
}

// A Server returns samples; client.Client is one. Only one goroutine at a time calls it.
type Server interface {
	Server() string
	Snapshot(context.Context) (*api.Snapshot, error)
	Connections(ctx context.Context, tenants []string, sort string, limit int) (*api.Connections, error)
}

// A sample is the state of the server at one moment.
type sample struct {
	at       time.Time // when the sessions arrived, by the local clock
	snapshot *api.Snapshot
	sessions *api.Connections
}

// take takes a sample: a snapshot, and the first sessions. The two requests are a moment apart, so
// each has a time of its own.
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
		snapshot.Tenants = slices.DeleteFunc(snapshot.Tenants, func(t api.TenantSnapshot) bool { return !slices.Contains(o.Tenants, t.Tenant) })
	}
	return &sample{time.Now(), snapshot, sessions}, nil
}

// ErrInterrupted is the error of Once and Live if ctx ended before the first report.
var ErrInterrupted = errors.New("interrupted before the interval was over")

// Once takes two samples, one interval apart, and compares them.
func Once(ctx context.Context, server Server, o Options) (*Report, error) {
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

// orInterrupted returns ErrInterrupted if ctx has ended, which is then the cause of err.
func orInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	return err
}

// sort sorts the rows. Equal rows are sorted by name, so that they do not change places.
func (s *Report) sort(by Sort) {
	first := func(rateA, rateB float64, lagA, lagB uint64) int {
		switch by {
		case ByRate:
			return cmp.Compare(rateB, rateA)
		case ByLag:
			return cmp.Compare(lagB, lagA)
		}
		return 0
	}
	slices.SortFunc(s.Tenants, func(a, b Tenant) int {
		return cmp.Or(first(a.Rates.BytesIn, b.Rates.BytesIn, a.Lag, b.Lag), cmp.Compare(a.Tenant, b.Tenant))
	})
	slices.SortFunc(s.Commands, func(a, b Command) int {
		rate := cmp.Compare(b.Rate, a.Rate)
		if by == ByName {
			rate = 0
		}
		return cmp.Or(rate, cmp.Compare(a.Command, b.Command), cmp.Compare(a.Tenant, b.Tenant))
	})
	slices.SortFunc(s.Peers, func(a, b Peer) int {
		return cmp.Or(first(a.Rates.BytesIn, b.Rates.BytesIn, a.Lag, b.Lag), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Session, b.Session))
	})
}
