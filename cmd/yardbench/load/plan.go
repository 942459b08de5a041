//go:build linux

// Package load plays all connections of a hub at once and measures how the hub serves them.
// Its input is a Plan, its output a Result.
//
// On plain TCP, each thread runs one event loop (loop.go), which handles each connection
// (conn.go) and asks senders when messages are due (sender.go). The loops share only the
// run (run.go). TLS connections have goroutines instead (streams.go).
package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"switchyard/cmd/yardbench/message"
)

// A Plan describes a run.
type Plan struct {
	// Host and port of the hub, or of each hub of a cluster. Connection n is at Addresses[n],
	// and begins again behind the last.
	Addresses []string
	Protocol  message.Protocol
	TLS       *tls.Config // nil is plain TCP
	PIDs      []int       // of the hubs' processes, to measure them; none: not measured
	Bus       []int       // of the processes over which the hubs agree, which are measured apart

	Connections int
	Senders     int // of the connections; the others only receive
	Size        int // bytes of a message, including the PDU's header

	// With Rate 0, each sender sends Batch messages at once while at most Window of its
	// messages have not been received by all. Otherwise all senders together send Rate
	// messages per second: in equal steps or, if Random, as independent events.
	Window, Batch int
	Rate          float64
	Random        bool

	Warmup   time.Duration // not measured
	Duration time.Duration // measured
	Drain    time.Duration // ends the run after so long without a delivery, if messages are missing; 0: five seconds
	Threads  int           // event loops; 0: one

	Stall Stall
	Short Short
}

// A Stall makes some of the receiving connections stop reading for a while.
type Stall struct {
	Connections int
	After       time.Duration // from the beginning of the measured span
	For         time.Duration // 0: until the end
}

// Short describes connections that come and go beside the others.
type Short struct {
	Rate     float64 // connections per second
	Messages int     // that each connection sends before it ends
	Reset    bool    // a connection ends with RST instead of FIN
}

// Limits of a plan.
const (
	maxConnections = 1 << 16
	maxThreads     = 64
	maxWindow      = 1 << 20
)

// check returns all faults of a plan.
func (p *Plan) check() error {
	var faults []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	require(len(p.Addresses) > 0, "the plan has no address; write host:port")
	require(p.Connections >= 2 && p.Connections <= maxConnections, "%d connections are too few or too many for a hub; write 2 to %d", p.Connections, maxConnections)
	require(p.Senders >= 1 && p.Senders <= p.Connections, "%d of %d connections cannot send; write 1 to %[2]d senders", p.Senders, p.Connections)
	require(p.Rate >= 0 && p.Rate <= 1e7, "a rate of %g is none; write 0 to 1e7 messages per second", p.Rate)
	require(p.Rate > 0 || p.Batch >= 1 && p.Batch <= p.Window && p.Window <= maxWindow,
		"a window of %d and a batch of %d let nobody send; write 1 <= batch <= window <= %d", p.Window, p.Batch, maxWindow)
	require(p.Warmup >= 0 && p.Duration > 0 && p.Drain >= 0, "warming up for %v, measuring for %v and draining for %v is not a run; write a duration above 0s", p.Warmup, p.Duration, p.Drain)
	require(p.Threads >= 0 && p.Threads <= maxThreads, "%d threads are none; write 1 to %d", p.Threads, maxThreads)
	require(p.Stall.Connections >= 0 && p.Stall.Connections <= p.Connections-p.Senders,
		"%d connections cannot stall: only those that do not send may; write 0 to %d", p.Stall.Connections, p.Connections-p.Senders)
	require(p.Short.Rate >= 0 && p.Short.Rate <= 1e5, "%g short connections per second are none; write 0 to 1e5", p.Short.Rate)
	require(p.Short.Rate == 0 || p.Short.Messages >= 1 && p.Short.Messages <= 1000, "%d messages of a short connection are none; write 1 to 1000", p.Short.Messages)
	special := p.Stall.Connections > 0 || p.Short.Rate > 0
	require(!special || p.Threads <= 1 && p.TLS == nil && len(p.Addresses) == 1, "stalls and short connections need one hub, one thread and no TLS; leave out one or the other")
	return errors.Join(faults...)
}

// address returns the address of the hub of connection n.
func (p *Plan) address(n int) string { return p.Addresses[n%len(p.Addresses)] }

// hubs names the hubs in messages.
func (p *Plan) hubs() string { return strings.Join(p.Addresses, ", ") }

// complete fills in defaults.
func (p Plan) complete() Plan {
	if p.Drain == 0 {
		p.Drain = 5 * time.Second
	}
	p.Threads = max(p.Threads, 1)
	return p
}
