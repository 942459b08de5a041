//go:build linux

// Package hostile plays tenants whose peers misbehave: they flood, do not read, send PDUs that
// never end or other protocols, come and go. Some peers behave, so that policies are called
// and users change.
package hostile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Tenant is a tenant whose peers this package plays. They connect from Source, an address
// of the loopback network, by which the hub assigns them to the tenant.
type Tenant struct {
	Name   string
	Source string
	Limits string // further keys of the tenant in the hub's configuration

	peers []peers
}

// peers are a number of connections that all do the same. When one has ended, the next one
// follows after a pause.
type peers struct {
	n     int
	pause time.Duration
	live  func(ctx context.Context, c *conn) error
}

// Tenants are all of them. Each shows one way in which a hub could fail the others: policies that
// trap, users without number, floods, receivers that do not read, and connections that are not peers.
var Tenants = []Tenant{
	{"modules", "127.0.0.2", "", []peers{{6, 50 * time.Millisecond, talk}}},
	{"tables", "127.0.0.3", "limits.users = 200000\n", []peers{
		{4, 50 * time.Millisecond, talk}, {4, 50 * time.Millisecond, holdUsers}, {1, time.Second, holdManyUsers}}},
	{"slowed", "127.0.0.4", "quota.pdus_in = 2000\nquota.bytes_in = \"1MiB\"\n", []peers{
		{4, 100 * time.Millisecond, flood}, {10, 100 * time.Millisecond, floodAndLeave}}},
	{"dropped", "127.0.0.5", "quota.pdus_in = 2000\nquota.bytes_in = \"1MiB\"\nquota.on_breach = \"drop\"\n", []peers{
		{1, 100 * time.Millisecond, flood}}},
	{"mute", "127.0.0.6", "quota.bytes_out = \"32MiB\"\nlimits.lag_hard = \"24MiB\"\nlimits.log = \"64MiB\"\n", []peers{
		{6, 100 * time.Millisecond, neverRead}, {1, 100 * time.Millisecond, flood}}},
	{"strangers", "127.0.0.7", "", []peers{
		{4, 10 * time.Millisecond, closeAtOnce}, {4, 50 * time.Millisecond, sayOther},
		{8, 100 * time.Millisecond, neverFinish}, {20, 100 * time.Millisecond, dribble}}},
}

// Counts are what the peers have done.
type Counts struct {
	Connections, Refused, Bytes atomic.Int64
}

func (c *Counts) String() string {
	return fmt.Sprintf("%d connections, %d refused or not answered, %.0f MiB sent", c.Connections.Load(), c.Refused.Load(), float64(c.Bytes.Load())/(1<<20))
}

// Play plays the peers of all tenants until ctx is done.
func Play(ctx context.Context, address string, counts *Counts) {
	var playing sync.WaitGroup
	for _, t := range Tenants {
		for _, p := range t.peers {
			for range p.n {
				playing.Go(func() { p.play(ctx, t.Source, address, counts) })
			}
		}
	}
	playing.Wait()
}

// patience is how long the hub may take to accept a connection.
const patience = 30 * time.Second

// play plays one connection after the other.
func (p *peers) play(ctx context.Context, source, address string, counts *Counts) {
	from := &net.TCPAddr{IP: net.ParseIP(source)}
	for ctx.Err() == nil {
		d := net.Dialer{LocalAddr: from, Timeout: patience}
		counts.Connections.Add(1)
		if tcp, err := d.DialContext(ctx, "tcp", address); err != nil {
			counts.Refused.Add(1)
		} else {
			p.playOne(ctx, &conn{TCPConn: tcp.(*net.TCPConn), counts: counts})
		}
		sleep(ctx, p.pause)
	}
}

// playOne plays one connection to its end. The end of ctx closes it, whatever it is doing.
func (p *peers) playOne(ctx context.Context, c *conn) {
	defer c.reading.Wait()
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	_ = p.live(ctx, c) // the hub may end it at any time
}

// A conn is a connection to the hub whose bytes are counted.
type conn struct {
	*net.TCPConn
	counts  *Counts
	reading sync.WaitGroup // of discard
}

// discard reads until the connection ends.
func (c *conn) discard() {
	c.reading.Go(func() { io.Copy(io.Discard, c.TCPConn) })
}

// Write implements net.Conn. It counts what was written, even if the write fails half way.
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.TCPConn.Write(b)
	c.counts.Bytes.Add(int64(n))
	return n, err
}

var errOver = errors.New("the time is over")

// every calls do at that interval for a while.
func every(ctx context.Context, interval, while time.Duration, do func() error) error {
	ticker, over := time.NewTicker(interval), time.After(while)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over:
			return errOver
		case <-ticker.C:
			if err := do(); err != nil {
				return err
			}
		}
	}
}

// sleep waits for d, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
