//go:build full && unix

package main

import (
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// The time in which the process is stopped does not count as its peers': those that sent
// heartbeats meanwhile stay, and PROXY headers of which half had arrived may be completed.
func TestStoppedBySignal(t *testing.T) {
	p := configured(t, t.TempDir(), `
[[listener]]
tenant = "plain"
[[listener]]
address = "127.0.0.1:0"
tenant = "proxied"
proxy_from = ["127.0.0.1"]
handshake_timeout = "2s"
[tenant.plain]
[tenant.proxied]
`, "--set", "peer.timeout=5s").at(`"tenant":"plain"`)
	var peers [100]peer
	for i := range peers {
		peers[i] = p.dial()
	}
	done, beating := make(chan struct{}), sync.WaitGroup{}
	defer beating.Wait()
	defer close(done)
	beating.Go(func() {
		for {
			for _, c := range peers {
				c.Write(pdutest.Raw(pdu.CID_OTHER_HEARTBEAT, 0, nil))
			}
			select {
			case <-done:
				return
			case <-time.After(500 * time.Millisecond): // the pace of the peers
			}
		}
	})
	const header = "PROXY UNKNOWN\r\n"
	say := func(conn net.Conn, text string) net.Conn {
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	p.at(`"tenant":"proxied"`)
	var halves [50]net.Conn
	for i := range halves {
		halves[i] = say(from(t, "127.0.0.1", p.address), header[:6])
	}
	p.join(say(from(t, "127.0.0.1", p.address), header)) // accepted after the others

	p.signal(syscall.SIGSTOP)
	time.Sleep(7 * time.Second) // longer than both timeouts
	p.signal(syscall.SIGCONT)
	for _, conn := range halves {
		p.join(say(conn, header[6:]))
	}
	if n := p.count("idle-timeout", `"tenant":"plain"`); n > 0 {
		t.Errorf("%d lines about peers closed as idle", n)
	}
}
