// Package dialogue plays recorded dialogues with a route server over TCP and
// compares, byte for byte and per connection, what every connection receives. It
// is support for tests: it knows the wire and nothing of the server behind it.
package dialogue

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// A Dialogue is a script over named TCP connections and what each of them
// received when it was recorded. The server must be the dialogue's own, as every
// connection gets the broadcasts of all others.
type Dialogue struct {
	Name string
	Doc  string     // what it shows, in a sentence
	Want Transcript // what was recorded

	steps []step
	quiet bool // settle by silence alone: nobody sends what the script does not say
}

// An op is what a step does.
type op string

const (
	opOpen         op = "open"          // connect
	opSend         op = "send"          // write data, chunk bytes at a time when chunk is not 0, with gaps between
	opSettle       op = "settle"        // wait until the server has handled all that was sent
	opClose        op = "close"         // close our end
	opHalfClose    op = "halfclose"     // shut down our writing side
	opExpectClosed op = "expect-closed" // wait for the server to close the connection
	opWait         op = "wait"          // let the time of gap pass
)

type step struct {
	op    op
	conn  string // its name; a name is used for one connection only
	data  []byte
	chunk int
	gap   time.Duration
}

func (s step) String() string { return strings.TrimSpace(string(s.op) + " " + s.conn) }

// Play runs the script against the server at addr and returns what every
// connection received. An error means that the script could not be played to its
// end; a server that answers differently is no error but a matter for Compare.
func (d Dialogue) Play(ctx context.Context, addr string) (Transcript, error) {
	s := newStage(addr)
	defer s.close()
	for i, st := range d.steps {
		if err := s.act(ctx, i, st, d.quiet); err != nil {
			return s.transcript(d.Name), fmt.Errorf("play %s, step %d (%v): %w", d.Name, i, st, err)
		}
	}
	return s.transcript(d.Name), nil
}
