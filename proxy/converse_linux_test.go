//go:build full || race

package proxy

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"switchyard/pdu"
)

// A counter is the remote end of a peer that numbers what it says.
type counter struct {
	net.Conn
	number byte
	of     *counter      // the one whose heard it sets
	heard  atomic.Uint32 // how many of its messages another one has heard
}

// lastWords is the number of the last message, behind which is the number of those before.
const lastWords = 1<<32 - 1

func (k *counter) message(number uint32, text []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{k.number}, number)
	return pdu.Append(nil, pdu.SID_MSG, others, 0, append(b, text...))
}

// talk says numbered messages in bursts until stop, and then its last words. No more than ahead
// are on their way at once.
func (k *counter) talk(stop *atomic.Bool, size int, ahead uint32) error {
	text, said := make([]byte, size), uint32(0)
	for !stop.Load() {
		if said > k.heard.Load()+ahead {
			time.Sleep(100 * time.Microsecond)
			continue
		}
		var burst []byte
		for range 1 + rand.IntN(20) {
			burst = append(burst, k.message(said, text[:rand.IntN(size+1)])...)
			said++
		}
		for len(burst) > 0 { // in pieces that end within PDUs
			n := min(len(burst), 1+rand.IntN(10*size))
			if _, err := k.Write(burst[:n]); err != nil {
				return err
			}
			burst = burst[n:]
		}
	}
	_, err := k.Write(k.message(lastWords, binary.BigEndian.AppendUint32(nil, said)))
	return err
}

// listen checks that it hears everything that the other counters say, once and in order.
func (k *counter) listen(counters int) error {
	next := make(map[byte]uint32)
	for r, silent := pdu.NewReader(k, 1<<20), 1; silent < counters; {
		batch, err := r.ReadBatch()
		if err != nil {
			return fmt.Errorf("counter %d: %w", k.number, err)
		}
		for ; len(batch) > 0; batch = batch[pdu.ParseHeader(batch).Length:] {
			h := pdu.ParseHeader(batch)
			if h.Command == pdu.CID_OTHER_HEARTBEAT {
				continue
			}
			body := batch[pdu.HeaderLen:h.Length]
			from, number := body[0], binary.BigEndian.Uint32(body[1:])
			if number == lastWords {
				number = binary.BigEndian.Uint32(body[5:])
				silent++
			}
			if number != next[from] {
				return fmt.Errorf("counter %d: number %d of %d, want %d", k.number, number, from, next[from])
			}
			next[from]++
			if from == k.of.number {
				k.of.heard.Store(next[from])
			}
		}
	}
	return nil
}

// converse makes n plain peers, one with its own reader and one with TLS talk to each other until
// during returns. They do not listen before ready.
func converse(t *testing.T, served *Tenant, n, size, atOnce int, ready func() bool, during func()) {
	t.Helper()
	var counters []*counter
	for i := range n + 2 {
		k := &counter{number: byte(i)}
		if i == n+1 {
			k.Conn = joinTLS(t, served)
		} else {
			near, far := loopback(t)
			k.Conn = near
			if i == n {
				join(served, ownReader{far})
			} else {
				join(served, far)
			}
		}
		k.SetDeadline(time.Now().Add(2 * generous))
		counters = append(counters, k)
	}
	for i, k := range counters {
		k.of = counters[(i+1)%len(counters)]
	}
	var stop atomic.Bool
	var all sync.WaitGroup
	for _, k := range counters {
		all.Go(func() {
			if err := k.talk(&stop, size, uint32(atOnce/size/len(counters))); err != nil {
				t.Errorf("counter %d: %v", k.number, err)
			}
		})
	}
	eventually(t, "listeners may begin", ready)
	for _, k := range counters {
		all.Go(func() {
			if err := k.listen(len(counters)); err != nil {
				t.Error(err)
			}
		})
	}
	during()
	stop.Store(true)
	all.Wait()
}

// joinTLS is dialTLS with a handshake that is over before the connection is served, as that of
// package admission is.
func joinTLS(t *testing.T, served *Tenant) net.Conn {
	t.Helper()
	server, client := secure(t)
	near, far := loopback(t)
	remote, own := tls.Client(near, client), tls.Server(far, server)
	done := make(chan error, 1)
	go func() { done <- remote.Handshake() }()
	if err := errors.Join(own.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}
	join(served, own)
	return remote
}
