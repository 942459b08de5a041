//go:build linux && full

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// How much memory a process needs for many peers, for peers that do not read, and for large
// PDUs.

const (
	kib = 1 << 10
	mib = 1 << 20
)

// peak returns the most bytes of memory that the process has had.
func (p *process) peak() int64 {
	p.t.Helper()
	return p.memory("VmHWM:")
}

// memory returns a figure of the process's memory, in bytes.
func (p *process) memory(name string) int64 {
	p.t.Helper()
	path := fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid)
	text, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), name)
	var kibibytes int64
	if _, err := fmt.Sscan(rest, &kibibytes); err != nil {
		p.t.Fatalf("%s: no %s %v", path, name, err)
	}
	return kibibytes * kib
}

// checkPeak fails the test if the peak is more bytes than that, or four times as many under the
// race detector.
func (p *process) checkPeak(most int64) {
	p.t.Helper()
	if raced {
		most *= 4
	}
	peak := p.peak()
	p.t.Logf("the process took %.1f MiB of memory; %.1f are allowed", float64(peak)/mib, float64(most)/mib)
	if peak > most {
		p.t.Error("that is too much")
	}
}

// crowd returns n, or fewer under the race detector.
func crowd(n int) int {
	if raced {
		return n / 8
	}
	return n
}

// receive reads the PDU that many times, and counts it in received.
func (c peer) receive(m []byte, count int, received *atomic.Int64) {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	in, buf := bufio.NewReader(c), make([]byte, 64*kib)
	for range count {
		for head, _ := in.Peek(pdu.HeaderLen); isHeartbeat(head); head, _ = in.Peek(pdu.HeaderLen) {
			in.Discard(pdu.HeaderLen)
		}
		for rest := m; len(rest) > 0; {
			n, err := in.Read(buf[:min(len(buf), len(rest))])
			if err != nil || !bytes.Equal(buf[:n], rest[:n]) {
				c.t.Errorf("%d bytes before the end of a PDU other bytes arrive, or none: %v", len(rest), err)
				return
			}
			rest = rest[n:]
		}
		received.Add(1)
	}
}

// closed returns how many sessions were closed for that reason, by the log, which has a line
// for a few of them and the number of the others.
func (p *process) closed(reason string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		switch more, _ := l["sessions"].(float64); {
		case l["reason"] != reason:
		case l["msg"] == "session closed":
			n++
		case l["msg"] == "more of the same" && l["message"] == "session closed":
			n += int(more)
		}
	}
	return n
}

// Peers that do not read cost one log, however many they are.
func TestMemoryForPeersThatDoNotRead(t *testing.T) {
	const lagHard, size = 16 * mib, 64 * kib
	const count = 2 * lagHard / size
	peers, mute := crowd(256), crowd(200)
	p := start(t, t.TempDir(), "--set", fmt.Sprintf("tenant.default.limits.lag_hard=%dMiB", lagHard/mib), "--set", "peer.max_pdu=1MiB")
	idle := p.peak()
	for range mute {
		p.dial().Conn.(*net.TCPConn).SetReadBuffer(4 * kib) // so that the kernel keeps little of what is not read
	}
	m := pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, size-pdu.HeaderLen))
	var reading sync.WaitGroup
	received := make([]atomic.Int64, peers-mute-1)
	for i := range received {
		c := p.dial()
		reading.Go(func() { c.receive(m, count, &received[i]) })
	}
	sender := p.dial()
	for sent := range int64(count) {
		// On a busy machine, those that read must not lag as much as those that do not.
		for i := range received {
			eventually(t, func() bool { return sent-received[i].Load() < lagHard/size/2 }, func() string { return "a peer stopped reading" })
		}
		sender.say(m)
	}
	reading.Wait()
	eventually(t, func() bool { return p.closed("slow-consumer") >= mute }, func() string {
		return fmt.Sprintf("%d of %d peers were closed as slow consumers", p.closed("slow-consumer"), mute)
	})
	p.checkPeak(idle + lagHard + int64(peers)*64*kib)
}

// A message of one of thousands of peers reaches all of them.
func TestMemoryForIdlePeers(t *testing.T) {
	peers := crowd(5000)
	needDescriptors(t, peers)
	p := start(t, t.TempDir())
	var all []peer
	for range peers {
		all = append(all, p.dial())
	}
	m := pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte("hello"))
	all[0].say(m)
	for _, c := range all[1:] {
		c.expect(m)
	}
	p.checkPeak(150 * mib)
}

// needDescriptors fails the test if that many connections cannot be open here, and as many in
// the process that is tested. The runtime has raised the soft limit to the hard one.
func needDescriptors(t *testing.T, connections int) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if want := uint64(connections + 100); limit.Max < want {
		t.Fatalf("a process may open %d files here; raise the hard limit to %d: ulimit -Hn %[2]d", limit.Max, want)
	}
}

// A PDU of the largest size is kept once, not once per receiver.
func TestMemoryForLargePDUs(t *testing.T) {
	const size, count = 16 * mib, 2
	peers := crowd(100)
	p := start(t, t.TempDir())
	idle := p.peak()
	var receivers []peer
	for range peers {
		c := p.dial()
		c.Conn.(*net.TCPConn).SetReadBuffer(64 * kib)
		receivers = append(receivers, c)
	}
	sender := p.dial()
	body := make([]byte, size-pdu.HeaderLen)
	for i := range body {
		body[i] = byte(i * i >> 8)
	}
	m := pdutest.Raw(pdu.CID_MSG_DATA, 1, body)
	var reading sync.WaitGroup
	for range count {
		sender.say(m)
	}
	sender.settle() // all of it is in the log, and no receiver has read
	for _, c := range receivers {
		reading.Go(func() { c.receive(m, count, new(atomic.Int64)) })
	}
	reading.Wait()
	p.checkPeak(idle + 2*count*size + 32*mib)
}
