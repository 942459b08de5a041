// Package jetstream is the log of a tenant on a NATS JetStream stream. It publishes records,
// reads them back in order, and carries the state of a tenant from one hub to another. It
// uses the stream as a sequencer and a ring: no consumers, no acknowledgements but one when the
// stream seems to take nothing. What a record means is not its business.
package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"switchyard/proxy/order"
)

// A record's way:
//
//	Append ──▶ sy.CLUSTER.TENANT.in.HUB ──▶ stream SY_CLUSTER_TENANT ──▶ sy.CLUSTER.TENANT.log.HUB ──▶ reader.take ──▶ Events
//	            a plain publish: may be        gives it a number,          republished, each with         in order, without
//	            lost or doubled                keeps the last ones         its number: may be lost        gaps
//	                                                  │
//	                                                  └── what a reader missed: batched direct get ──▶ reader.catchUp
//
// The numbers of a stream have no gaps, so the reader sees what it missed. It asks the stream
// for its last number when nothing has come for a while, so that it misses no tail either.
//
// Read the files in this order: connect.go, begin.go with stream.go, read.go, missed.go,
// refuse.go, state.go.

// Settings say which log to take part in, and how to reach it.
type Settings struct {
	Servers         []string // addresses of the bus's servers, tried in this order: "nats://HOST:PORT", "tls://HOST:PORT"
	Cluster, Tenant string   // letters, digits and "-"
	Hub             uint16   // this hub's number
	Credentials     string   // file with NATS credentials; "": none
	CA              string   // PEM file with the CAs of the servers; "": those of the system
	Certificate     string   // PEM file with a client certificate; "": none
	Key             string   // PEM file with its private key
	Replicas        int      // of a stream that is created
	LogBytes        int64    // kept by a stream that is created
	Log             *slog.Logger
}

func (s Settings) stream() string             { return "SY_" + s.Cluster + "_" + s.Tenant }
func (s Settings) subject(kind string) string { return "sy." + s.Cluster + "." + s.Tenant + "." + kind }
func (s Settings) in(hub string) string       { return s.subject("in." + hub) }
func (s Settings) out(hub string) string      { return s.subject("log." + hub) }

// inbox precedes the subjects of answers, so that an account with the permission for
// "sy.CLUSTER.>" can receive them. No tenant has this name.
func (s Settings) inbox() string { return "sy." + s.Cluster + "._INBOX" }

// A Log is the log of one tenant as one hub sees it. It has a connection of its own, so that
// tenants do not wait for each other. Append and SendState may be called by any goroutine, at
// any time; Begin, Continue and Close by one goroutine at a time.
type Log struct {
	settings Settings
	times    times
	subject  string          // to which this hub's records are published
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc

	events chan order.Event      // never closed
	states chan order.StateChunk // never closed

	connection atomic.Pointer[connection] // exchanged by Begin when the client has given up the old one
	reader     *reader                    // owned by the caller of Begin, Continue and Close; nil if nothing is being read
	counts     counts

	receiptTo atomic.Pointer[string] // where the receipt of the next record goes; nil: nobody wants one

	mu       sync.Mutex          // held for moments
	sent     map[transfer]int    // guarded by mu: chunks of each transfer that were acknowledged
	reported map[string]struct{} // guarded by mu: refusals that were logged
}

// times are durations that tests shorten.
type times struct {
	idle   time.Duration // without a record, after which the stream is asked for its last number
	poll   time.Duration // between two polls for the answer while no record comes
	answer time.Duration // for an answer
	retry  time.Duration // the pause before an operation is tried again

	// lag is how long the stream may contradict what was reported, before that is believed. A
	// replica that has just become the leader, or that answers a direct get, may be a little behind.
	lag time.Duration
}

var defaultTimes = times{idle: 250 * time.Millisecond, poll: 20 * time.Millisecond, answer: 2 * time.Second, retry: 200 * time.Millisecond, lag: 3 * time.Second}

// Open connects to the bus in the background. It fails only for what waiting does not mend:
// a file or an address that is not what it should be. Whether the bus can be reached shows in
// Begin.
func Open(settings Settings) (*Log, error) { return open(settings, defaultTimes) }

func open(settings Settings, times times) (*Log, error) {
	l := &Log{
		settings: settings,
		times:    times,
		subject:  settings.in(fmt.Sprint(settings.Hub)),
		events:   make(chan order.Event),
		states:   make(chan order.StateChunk),
		sent:     map[transfer]int{},
		reported: map[string]struct{}{},
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	k, err := l.connect()
	if err != nil {
		l.cancel()
		return nil, err
	}
	l.connection.Store(k)
	return l, nil
}

// Append publishes a record, which may be lost or doubled before it has a place in the log.
// It blocks while the socket takes nothing, for stalled at most, and keeps no part of record.
// An error means that the bus is not reached, and that the record was probably lost.
func (l *Log) Append(record []byte) error {
	err := l.publish(record)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrReconnectBufExceeded):
		return l.unreached()
	}
	return fmt.Errorf("publish a record of %d bytes for tenant %s: %w", len(record), l.settings.Tenant, err)
}

// Events returns what Begin makes the log report. A receiver that is slow holds up only this
// log: what it has not received is read again from the stream, which keeps LogBytes of it.
func (l *Log) Events() <-chan order.Event { return l.events }

// Close ends reading and disconnects. It returns when all goroutines of the log have ended.
func (l *Log) Close() {
	l.cancel()
	l.stopReading()
	l.connection.Load().close()
}
