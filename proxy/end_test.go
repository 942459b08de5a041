package proxy

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/hub"
)

// A pipeWithEnd is a connection that ends by FIN and tells nothing of its peer's kernel,
// as one over TLS does, or any on another system than Linux.
type pipeWithEnd struct {
	net.Conn
	closed chan struct{} // by CloseWrite
}

func (p *pipeWithEnd) CloseWrite() error { close(p.closed); return nil }

// What a peer sends to a session that has ended is counted with a reason of its own and
// logged. The peer is waited for until it closes, or for lingerTime.
func TestWhatComesTooLate(t *testing.T) {
	m := message(others, 1, "too late")
	for name, c := range map[string]struct {
		first  []byte // sent before the end
		late   [][]byte
		closes bool
		want   uint64
		drain  bool
	}{
		"behind the verdict":   {first: slices.Concat(message(goAway, 0, ""), m, m), closes: true, want: 2},
		"after the end":        {first: message(goAway, 0, ""), late: [][]byte{m, m, m}, closes: true, want: 3},
		"split":                {first: slices.Concat(message(goAway, 0, ""), m[:5]), late: [][]byte{m[5:20], m[20:], m[:7]}, closes: true, want: 1},
		"goes on and on":       {first: message(goAway, 0, ""), late: slices.Repeat([][]byte{m}, 100), want: 100},
		"after a drain":        {first: m, late: [][]byte{m, m}, closes: true, want: 2, drain: true},
		"without framing":      {first: make([]byte, 16), late: [][]byte{m, m}, closes: true, want: 0},
		"then without framing": {first: message(goAway, 0, ""), late: [][]byte{m, make([]byte, 16), m}, closes: true, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, testLimits(), func(y bubble) {
				a, far := net.Pipe()
				end := &pipeWithEnd{far, make(chan struct{})}
				join(y.Tenant, end)
				s := (*y.sessions.Load())[0]
				a.Write(c.first)
				if c.drain {
					synctest.Wait()
					go y.Drain(context.Background(), 0)
				}
				<-end.closed
				start := time.Now()
				for _, p := range c.late {
					a.Write(p)
				}
				if c.closes {
					a.Close()
				}
				<-s.done
				want := lingerTime
				if c.closes {
					want = 0
				}
				if got := time.Since(start); got != want {
					t.Errorf("ended after %v, want %v", got, want)
				}
				y.expectCounts("what came too late", func(k hub.Counts) bool { return k.Dropped[hub.SessionEnded] == c.want })
				if logged := strings.Contains(y.lines.String(), "PDU dropped: session-ended"); logged != (c.want > 0) {
					t.Errorf("logged: %v\n%s", logged, y.lines)
				}
				a.Close()
			})
		})
	}
}

// While one peer has not finished a PDU, the others are still read, however quiet they
// were.
func TestDrainReadsAllToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, stop := pipeTenant(testLimits())
		defer stop()
		slow, slowHeard := listen(tenant)
		quiet, quietHeard := listen(tenant)
		m, n := message(others, 1, "in two halves"), message(others, 2, "meanwhile")
		slow.Write(m[:20])
		synctest.Wait()
		done := make(chan error)
		go func() { done <- tenant.Drain(context.Background(), 0) }()
		time.Sleep(stopTime / 2)
		quiet.SetWriteDeadline(time.Now().Add(time.Minute))
		if _, err := quiet.Write(n); err != nil {
			t.Fatal(err)
		}
		slow.Write(m[20:])
		if err := <-done; err != nil {
			t.Errorf("Drain: %v", err)
		}
		for name, heard := range map[string][]arrival{"slow": <-slowHeard, "quiet": <-quietHeard} {
			if len(heard) != 2 || heard[0].what != "other" {
				t.Errorf("the %s peer got %v, want the other's PDU and the end", name, heard)
			}
		}
	})
}
