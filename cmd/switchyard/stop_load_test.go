//go:build full || race

package main

import (
	"bytes"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// A stop while peers send at full speed: every PDU that was accepted becomes due to every other
// peer and is written.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	const peers, senders = 6, 3
	p := start(t, t.TempDir())
	batch := bytes.Repeat(pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, 100)), 64)
	var running sync.WaitGroup
	connections := make([]peer, peers)
	for i := range connections {
		connections[i] = p.dial()
	}
	begun, ended := make(chan struct{}, senders), make(chan struct{})
	var said atomic.Int64 // bytes, by all
	var own, got [peers]atomic.Int64
	lags := func() bool { // so much that somebody would be closed as a slow consumer
		for i := range got {
			if said.Load()-own[i].Load()-got[i].Load() > 8<<20 {
				return true
			}
		}
		return false
	}
	for i, c := range connections {
		running.Go(func() {
			for buf := make([]byte, 64<<10); ; {
				n, err := c.Read(buf) // to the end or a reset
				got[i].Add(int64(n))
				if err != nil {
					return
				}
			}
		})
		if i >= senders {
			continue
		}
		running.Go(func() {
			for n := 0; ; n++ {
				for lags() {
					select {
					case <-ended:
						return
					case <-time.After(time.Millisecond): // only paces the load
					}
				}
				if _, err := c.Write(batch); err != nil {
					return
				}
				own[i].Add(int64(len(batch)))
				said.Add(int64(len(batch)))
				if n == 100 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range senders {
		<-begun
	}
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitStopped {
		t.Errorf("exit code %d, want %d", code, exitStopped)
	}
	close(ended)
	running.Wait()
	pdus, copies := p.expect(`"msg":"PDUs"`), p.expect(`"msg":"copies"`)
	accepted, _ := pdus["accepted"].(map[string]any)["broadcast-except-sender"].(float64)
	if want := accepted*(peers-1) + pdus["made"].(float64); accepted == 0 || copies["due"] != want || copies["delivered"] != want {
		t.Errorf("%v PDUs were accepted, so %v copies are due; the log says %v due, %v delivered", accepted, want, copies["due"], copies["delivered"])
	}
	checkCounts(t, p)
}
