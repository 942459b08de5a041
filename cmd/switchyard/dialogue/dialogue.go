// Package dialogue plays recorded dialogues with a route server over TCP and compares, byte
// for byte, what every connection receives. It is for tests: it knows the protocol and
// nothing else about the server.
package dialogue

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// A Dialogue is a script over named TCP connections and what each of them received when it was
// recorded. Each dialogue needs a server of its own, because every connection receives the
// broadcasts of all others.
type Dialogue struct {
	Name string
	Doc  string     // what it tests, in a sentence
	Want Transcript // what was recorded

	steps []step
	quiet bool // settle by silence alone: send only what the script says
}

// An op is the kind of a step.
type op string

const (
	opOpen         op = "open"          // connect
	opSend         op = "send"          // write data, chunk bytes at a time when chunk is not 0, with gaps between
	opSettle       op = "settle"        // wait until the server has handled all that was sent
	opClose        op = "close"         // close our connection
	opHalfClose    op = "halfclose"     // shut down our writing side
	opExpectClosed op = "expect-closed" // wait for the server to close the connection
	opWait         op = "wait"          // wait for gap
)

type step struct {
	op    op
	conn  string // its name; a name is used for one connection only
	data  []byte
	chunk int
	gap   time.Duration
}

func (s step) String() string { return strings.TrimSpace(string(s.op) + " " + s.conn) }

// Servers are servers that act as one.
type Servers struct {
	Addresses []string // connection i is made to number i, modulo their number
	// Level returns when each server has handled what any of them had handled before the call. It
	// is called whenever the dialogue settles.
	Level func(context.Context) error
	// Patience limits a settling.
	Patience time.Duration
}

// lone returns a single server as Servers.
func lone(addr string) Servers {
	return Servers{[]string{addr}, func(context.Context) error { return nil }, settleTimeout}
}

// Play runs the script against the server at addr and returns what every connection received.
// It fails only if the script could not be played to its end; Compare finds wrong answers.
func (d Dialogue) Play(ctx context.Context, addr string) (Transcript, error) {
	return d.PlayWith(ctx, addr, func(int) {})
}

// Steps returns how many steps the script has.
func (d Dialogue) Steps() int { return len(d.steps) }

// PlayWith is like Play, but calls before with the number of each step, from 0 on, before that.
func (d Dialogue) PlayWith(ctx context.Context, addr string, before func(step int)) (Transcript, error) {
	return d.PlayOver(ctx, lone(addr), before)
}

// PlayOver is like PlayWith, with the connections spread over several servers.
func (d Dialogue) PlayOver(ctx context.Context, over Servers, before func(step int)) (Transcript, error) {
	s := newSession(over)
	defer s.close()
	for i, st := range d.steps {
		before(i)
		if err := s.act(ctx, i, st, d.quiet); err != nil {
			return s.transcript(d.Name), fmt.Errorf("play %s, step %d (%v): %w", d.Name, i, st, err)
		}
	}
	return s.transcript(d.Name), nil
}
