//go:build full || race

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/proxy/admin/api"
)

// What peers can do while an upgrade is under way.

// A peer that sends as fast as it can loses nothing: each PDU is counted once.
func TestUpgradeWhileAPeerFloods(t *testing.T) {
	t.Parallel()
	u := startUpgradable(t)
	flooder := u.dial()
	flooder.SetDeadline(time.Time{})
	batch := bytes.Repeat(pdutest.Raw(pdu.CID_OTHER_HEARTBEAT, 0, []byte("odd")), 3000) // reads end within one
	stop, sent := make(chan struct{}), uint64(1)                                        // dial settles
	var flooding sync.WaitGroup
	flooding.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := flooder.Write(batch); err != nil {
				t.Errorf("after %d PDUs: %v", sent, err)
				return
			}
			sent += 3000
		}
	})
	for range 3 {
		if last := u.mustUpgrade(); last.Moved != 1 {
			t.Errorf("%+v", last)
		}
	}
	close(stop)
	flooding.Wait()
	flooder.settle()
	s, err := u.admin().Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Totals.Received != sent+1 {
		t.Errorf("%d PDUs received, %d sent", s.Totals.Received, sent+1)
	}
}

// Peers that close, reset or half-close their connection meanwhile leave, and what they said
// before arrives once.
func TestUpgradeWhilePeersLeave(t *testing.T) {
	t.Parallel()
	const each = 20
	u := startUpgradable(t)
	stays := u.dial()
	leave := map[string]func(*net.TCPConn){
		"close":      func(c *net.TCPConn) { c.Close() },
		"half-close": func(c *net.TCPConn) { c.CloseWrite() },
		"reset":      func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
	}
	for range 2 {
		var leaving sync.WaitGroup
		begun := make(chan struct{})
		said := make(chan []byte, len(leave)*each)
		for how, end := range leave {
			for i := range each {
				p, wait := u.dial(), time.Duration(rand.Int64N(int64(300*time.Millisecond)))
				leaving.Go(func() {
					<-begun
					time.Sleep(wait)
					if how != "reset" { // which discards what is on its way
						text := spoken(fmt.Sprintf("%s %d", how, i))
						p.Write(text)
						said <- text
					}
					end(p.Conn.(*net.TCPConn))
				})
			}
		}
		close(begun)
		last := u.mustUpgrade()
		leaving.Wait()
		close(said)
		var s *api.Snapshot
		eventually(t, func() (ok bool) {
			var err error
			if s, err = u.admin().Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
			return s.Totals.Sessions == 1 && s.Totals.Pending == 0
		}, func() string { return fmt.Sprintf("after %+v there are %+v", last, s.Totals) })
		want := make(map[string]bool)
		for text := range said {
			want[string(text)] = true
		}
		stays.say(pdutest.StatusRequest(7, 1, nil))
		for p := stays.next(); !bytes.Equal(p, pdutest.StatusResponse(7, 1, nil)); p = stays.next() {
			if !want[string(p)] {
				t.Errorf("received %q, which was not said or came before", p)
			}
			delete(want, string(p))
		}
		for text := range want {
			t.Errorf("%q is lost, after %+v", text, last)
		}
	}
}

// connection returns what the server shows of a connection.
func (u *upgradable) connection(c peer) api.Connection {
	u.t.Helper()
	all, err := u.admin().Connections(u.t.Context(), nil, "id", 100)
	if err != nil {
		u.t.Fatal(err)
	}
	for _, shown := range all.Connections {
		if shown.Peer == c.LocalAddr().String() {
			return shown
		}
	}
	u.t.Fatalf("the connection is not shown: %+v", all.Connections)
	panic("not reached")
}

// lag makes so many bytes due to a peer that takes nothing, at least, and returns what was sent.
// The PDUs have that length.
func (u *upgradable) lag(from, to peer, length int, least uint64) (sent [][]byte) {
	u.t.Helper()
	to.Conn.(*net.TCPConn).SetReadBuffer(256 << 10) // it would grow, and take what is to be due
	for u.connection(to).Lag < least {
		p := pdutest.Raw(pdu.CID_MSG_DATA, uint16(len(sent)), bytes.Repeat([]byte{byte(len(sent))}, length))
		sent = append(sent, p)
		from.say(p)
		from.settle()
	}
	return sent
}

// A peer that is behind gets the rest from the new process, from the byte at which the old one has
// stopped.
func TestUpgradeWhileAPeerIsBehind(t *testing.T) {
	t.Parallel()
	u := startUpgradable(t)
	a, b := u.dial(), u.dial()
	sent := u.lag(a, b, 300_000, 500_000)
	for range 2 {
		if last := u.mustUpgrade(); last.Moved != 2 || last.Closed != 0 {
			t.Errorf("%+v", last)
		}
	}
	if lag := u.connection(b).Lag; lag == 0 {
		t.Error("the peer has caught up, so this shows nothing")
	}
	a.say(spoken("the end"))
	b.expect(sent...)
	b.expect(spoken("the end"))
	a.settle()
	b.settle()
}

// A peer that is too far behind gets from the old process what it takes within a while, and its
// connection ends. The new process counts it all as discarded.
func TestUpgradeWhileAPeerIsFarBehind(t *testing.T) {
	t.Parallel()
	u := startUpgradable(t)
	a, b := u.dial(), u.dial()
	all := bytes.Join(u.lag(a, b, 300_000, 2<<20), nil)
	if last := u.mustUpgrade(); last.Moved != 1 || last.Closed != 1 {
		t.Errorf("%+v", last)
	}
	b.SetReadDeadline(time.Now().Add(patience))
	got, err := io.ReadAll(b)
	if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Fatal("the connection stays open")
	}
	if !bytes.HasPrefix(all, got) {
		t.Errorf("%d bytes arrive, which are not the first of %d", len(got), len(all))
	}
	a.settle()
	s, err := u.admin().Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Totals.Sessions != 1 || s.Totals.Pending != 0 || s.Totals.Discarded == 0 {
		t.Errorf("%+v", s.Totals)
	}
}

// A process that has handed over and still writes to such a peer passes signals on: whoever sends one
// means the process that serves.
func TestSignalsToAProcessThatLeaves(t *testing.T) {
	t.Parallel()
	// The process leaves after 5 s, in which a busy machine may manage only one signal.
	leaving := func(t *testing.T) (u *upgradable, pid int) {
		t.Parallel()
		u = startUpgradable(t)
		a, b := u.dial(), u.dial()
		u.lag(a, b, 300_000, 2<<20)
		return u, u.upgradeBySignal(u.cmd.Process.Pid)
	}
	t.Run("reload", func(t *testing.T) {
		u, _ := leaving(t)
		u.signal(syscall.SIGHUP)
		u.expect("policy unchanged")
	})
	t.Run("stop", func(t *testing.T) {
		u, pid := leaving(t)
		u.signal(syscall.SIGTERM)
		awaitEnd(t, pid)
		if code := u.exit(); code != exitStopped {
			t.Errorf("exit code %d", code)
		}
	})
}

// The longest PDU is half read by one process, and whole after three.
func TestUpgradeInTheMiddleOfTheLongestPDU(t *testing.T) {
	t.Parallel()
	longest := 1 << 20 // a busy machine moves no more in the time of an upgrade
	if full {
		longest = 16 << 20
	}
	u := startUpgradable(t, "--set", fmt.Sprintf("peer.max_pdu=%dMiB", longest>>20))
	a, b := u.dial(), u.dial()
	p := pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, longest-16))
	for i := 16; i+8 <= longest; i += 8 {
		binary.BigEndian.PutUint64(p[i:], uint64(i))
	}
	cuts := []int{0, longest / 3, longest - 1, longest}
	for i, from := range cuts[:len(cuts)-1] {
		a.say(p[from:cuts[i+1]])
		if i < len(cuts)-2 {
			if last := u.mustUpgrade(); last.Moved != 2 {
				t.Errorf("after %d bytes: %+v", cuts[i+1], last)
			}
		}
	}
	b.expect(p)
	a.settle()
	b.settle()
}

// A peer that was slowed down by a quota continues, and keeps to it.
func TestUpgradeWhileAPeerIsPaused(t *testing.T) {
	t.Parallel()
	u := startUpgradable(t, "--set", "tenant.default.quota.peer_pdus_in=20")
	a, b := u.dial(), u.dial()
	var all [][]byte
	for i := range 60 {
		all = append(all, spoken(fmt.Sprintf("number %d", i)))
	}
	a.say(all...)
	eventually(t, func() bool { return u.connection(a).Paused }, func() string { return "the sender is not paused" })
	if last := u.mustUpgrade(); last.Moved != 2 {
		t.Errorf("%+v", last)
	}
	b.expect(all...)
}

// What would no longer be accepted is checked again in the new process, too.
func TestUpgradeKeepsChecking(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	configuration := func(allow string) string {
		return "[[listener]]\ntenant = \"default\"\nrecheck = true\nallow = [\"" + allow + "\"]\n"
	}
	write(t, filepath.Join(dir, "config.toml"), configuration("127.0.0.0/8"))
	u := startUpgradable(t, "--config", filepath.Join(dir, "config.toml"))
	a := u.dial()
	last := u.mustUpgrade()
	a.settle()
	from := u.logged()
	write(t, filepath.Join(dir, "config.toml"), configuration("10.0.0.0/8"))
	syscall.Kill(last.PID, syscall.SIGHUP)
	u.expectFrom(from, "session closed", "not-allowed")
}
