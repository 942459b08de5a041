//go:build full

package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/policy/release/history"
)

const (
	talking      = 20
	talkingUsers = 2000   // user u is at peer u%talking
	mostPDUs     = 60_000 // of a release that ends by itself
)

// Talkers are peers that say about 1,000 PDUs a second, and count what each PDU becomes.
type talkers struct {
	*released
	peers   []peer
	random  *rand.Rand
	sent    uint32
	message func(from, to int, n uint32) []byte

	chatCopies uint32                      // that the stable policy makes of a chat
	copies     [mostPDUs + 1]atomic.Uint32 // of each PDU, by its number
	to         [mostPDUs + 1]atomic.Int32  // for a chat, 1 + the peer of the user to whom it goes; 0 once it got there
	unhandled  atomic.Int64                // announcements that arrive at peers
	answered   chan int
	reading    sync.WaitGroup
}

// startTalkers starts a server with that policy in force, and the peers.
func startTalkers(t *testing.T, release, policy string, files map[string]string) *talkers {
	t.Helper()
	c := &talkers{released: &released{T: t, dir: t.TempDir()}, random: rand.New(rand.NewPCG(3, 7)), answered: make(chan int, talking), message: talk, chatCopies: talking - 1}
	for name, content := range files {
		save(t, c.dir, name, content)
	}
	c.configure(release, fmt.Sprintf("policy = %q", policy))
	c.restart()
	c.peers = append(c.peers, c.sender, c.receiver)
	for len(c.peers) < talking {
		c.peers = append(c.peers, c.dial())
	}
	for i, p := range c.peers {
		for u := i; u < talkingUsers; u += talking {
			p.say(pdutest.Online(pdutest.Stat(uint32(u), 1, 1)))
		}
		c.reading.Go(func() { c.read(i, p) })
	}
	t.Cleanup(func() {
		for _, p := range c.peers {
			p.Close()
		}
		c.reading.Wait()
	})
	return c
}

// read counts what a peer is sent.
func (c *talkers) read(i int, p peer) {
	in := bufio.NewReaderSize(p, 64*kib)
	for header := make([]byte, pdu.HeaderLen); ; {
		if _, err := io.ReadFull(in, header); err != nil {
			return // closed by the test; a session that the server ends is in its log
		}
		h := pdu.ParseHeader(header)
		body := make([]byte, int(h.Length)-pdu.HeaderLen)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		switch h.Command {
		case pdu.CID_MSG_DATA, pdu.CID_MSG_READ_NOTIFY:
			n := binary.LittleEndian.Uint32(body[len(body)-4:])
			c.copies[n].Add(1)
			c.to[n].CompareAndSwap(int32(i+1), 0)
		case pdu.CID_OTHER_ONLINE_USER_INFO:
			c.unhandled.Add(1)
		case pdu.CID_BUDDY_LIST_USERS_STATUS_RESPONSE:
			c.answered <- i
		}
	}
}

// counted is field 15, with the number of its PDU. It ends every body.
func counted(n uint32) []byte { return binary.LittleEndian.AppendUint32([]byte{15<<3 | 5}, n) }

// user returns a random user of a peer.
func (c *talkers) user(at int) uint32 {
	return uint32(at%talking + talking*c.random.IntN(talkingUsers/talking))
}

// talk makes a chat of three users, in fields 1 to 3.
func talk(from, to int, n uint32) []byte {
	body := binary.AppendUvarint([]byte{1 << 3}, uint64(from))
	body = binary.AppendUvarint(append(body, 2<<3), uint64(to))
	body = binary.AppendUvarint(append(body, 3<<3), uint64(to+1)) // whose peer is the next one
	return pdutest.Raw(pdu.CID_MSG_DATA, 0, append(body, counted(n)...))
}

// until talks until the log has one of these lines: 25 of 100 PDUs tell that a chat was read, and
// one that a user logged in.
func (c *talkers) until(messages ...string) {
	c.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		for range 10 {
			from := c.random.IntN(talking)
			to := from + 1 + c.random.IntN(talking-2)
			kind := c.random.IntN(100)
			if kind == 0 {
				c.peers[from].say(pdutest.Online(pdutest.Stat(c.user(from), 1, 1)))
				continue
			}
			if c.sent++; c.sent >= mostPDUs {
				c.Fatalf("none of %q after %d PDUs", messages, c.sent)
			}
			if kind <= 25 {
				body := binary.AppendUvarint([]byte{1 << 3}, uint64(c.user(from)))
				c.peers[from].say(pdutest.Raw(pdu.CID_MSG_READ_NOTIFY, 0, append(body, counted(c.sent)...)))
			} else {
				c.to[c.sent].Store(int32(1 + to%talking))
				c.peers[from].say(c.message(int(c.user(from)), int(c.user(to)), c.sent))
			}
		}
		<-tick.C
		for _, m := range messages {
			if c.count(m) > 0 {
				return
			}
		}
	}
}

// settled waits until everything that was sent has arrived: the first answers say that all was
// handled, and the second ones that what follows from it was read.
func (c *talkers) settled() {
	c.Helper()
	for range 2 {
		for _, p := range c.peers {
			p.say(pdutest.StatusRequest(7, 1, nil))
		}
		for range c.peers {
			select {
			case <-c.answered:
			case <-time.After(patience):
				c.Fatal("a peer is not answered")
			}
		}
	}
}

// otherwise returns how many PDUs became something else than the stable policy makes of them.
func (c *talkers) otherwise() (n uint64) {
	for i := uint32(1); i <= c.sent; i++ {
		if copies := c.copies[i].Load(); copies != c.chatCopies && copies != talking-1 {
			n++
		}
	}
	return n + uint64(c.unhandled.Load())
}

// A guest is the text of a module that broadcasts, handles announcements and requests, and says
// something of its own about some commands.
type guest struct {
	chats, reads, online string // verdicts by ids; "" for the usual ones
	inspect              string // the code of an inspection by body; usually it broadcasts
}

// build returns the module. one(n) is true for n of a thousand bodies.
func (g guest) build(t *testing.T) string {
	t.Helper()
	or := func(v, usual string) string {
		if v == "" {
			return usual
		}
		return v
	}
	row := func(c pdu.CommandID, v string) string {
		return fmt.Sprintf("(if (i32.eq (local.get $command) (i32.const %#x)) (then (return (i64.const %s))))\n", uint16(c), v)
	}
	text := `(module
  (memory (export "memory") 3)
  (func (export "switchyard_abi_v1"))
  (func (export "classify") (param $service i32) (param $command i32) (result i64)
    ` + row(pdu.CID_MSG_DATA, or(g.chats, "4")) + row(pdu.CID_MSG_READ_NOTIFY, or(g.reads, "4")) +
		row(pdu.CID_OTHER_ONLINE_USER_INFO, or(g.online, "0x100000002")) + row(pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, "0x400000002") + `
    (i64.const 4))
  (func (export "buffer") (param i32) (result i32) (i32.const 1024))
  (func $one (param $of i32) (param $ptr i32) (param $len i32) (result i32)
    (local $x i32)
    (local.set $x (i32.mul (i32.load (i32.sub (i32.add (local.get $ptr) (local.get $len)) (i32.const 4))) (i32.const 0x9e3779b9)))
    (local.set $x (i32.mul (i32.xor (local.get $x) (i32.shr_u (local.get $x) (i32.const 15))) (i32.const 0x85ebca6b)))
    (i32.lt_u (i32.rem_u (i32.shr_u (local.get $x) (i32.const 8)) (i32.const 1000)) (local.get $of)))
  (func (export "inspect_body") (param $ptr i32) (param $len i32)
      (param $hi i64) (param $lo i64) (param $session i64) (param $attributes i64) (result i64)
    (local $i i32)
    ` + g.inspect + `
    (i64.const 4)))`
	source := filepath.Join(t.TempDir(), "guest.wat")
	save(t, filepath.Dir(source), "guest.wat", text)
	built := source + ".wasm"
	if out, err := exec.Command("wat2wasm", source, "-o", built).CombinedOutput(); err != nil {
		t.Fatalf("wat2wasm (Debian: wabt): %v\n%s\n%s", err, out, text)
	}
	module, err := os.ReadFile(built)
	if err != nil {
		t.Fatal(err)
	}
	return string(module)
}

// sometimes is the code of an inspection that does this with some of a thousand bodies.
func sometimes(of int, code string) string {
	return fmt.Sprintf("(if (call $one (i32.const %d) (local.get $ptr) (local.get $len)) (then %s))", of, code)
}

const (
	inspected = "0x204" // broadcast, and inspect the body
	// toFields sends to the users in field 2, or in 2 and 3, but not to the sender.
	toField, toFields = "0x400030803", "0xc00030803"
	// burn is a loop that uses about 190,000 units of fuel.
	burn = "(loop $again (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $again (i32.lt_u (local.get $i) (i32.const 190000))))"
)

// The server rolls every bad policy back. In shadow it has then routed no PDU as that policy says;
// at 1 % of the users it has routed at most a few PDUs otherwise than the stable policy says.
func TestBadReleases(t *testing.T) {
	for _, c := range []struct {
		name              string
		stable, candidate guest
		found             string
		most              uint64 // PDUs obeyed otherwise at 1 %
		share             bool   // of those that are affected, the candidate may decide 1 %
	}{
		{"traps", guest{}, guest{chats: inspected, inspect: sometimes(10, "unreachable")}, "faults: ", 0, false},
		{"fuel", guest{}, guest{chats: inspected, inspect: burn}, "fuel: ", 0, false},
		{"drops a command", guest{}, guest{reads: "0"}, "undelivered: ", 0, true},
		{"drops some", guest{}, guest{chats: inspected, inspect: sometimes(4, "(return (i64.const 0))")}, "undelivered: ", 3, false},
		{"copies", guest{chats: toField}, guest{chats: toFields}, "copies: ", 0, true},
		{"closes", guest{}, guest{chats: inspected, inspect: "(return (i64.const 6))"}, "closes: ", 0, false},
		{"handles", guest{}, guest{online: "0x100000202"}, "presence: ", 0, false},
	} {
		for _, share := range []string{"0%", "1%", "100%"} {
			if share == "100%" && (c.most > 0 || c.share || c.found == "fuel: ") {
				continue // only tripwires keep it from being obeyed there
			}
			t.Run(c.name+"/"+share, func(t *testing.T) {
				t.Parallel()
				how := map[string]string{"0%": staged, "1%": strings.Replace(staged, "mode", "shadow = false, mode", 1),
					"100%": strings.Replace(staged, "mode", "shadow = false, stages = [], bake = \"1h\", mode", 1)}[share]
				r := startTalkers(t, how, "file:policy.wasm", map[string]string{"policy.wasm": c.stable.build(t)})
				if c.stable.chats == toField {
					r.chatCopies = 1
				}
				replace(t, filepath.Join(r.dir, "policy.wasm"), c.candidate.build(t))
				r.expect("release begins")
				r.until("release rolled back", "release paused")
				l := r.expect("release rolled back")
				r.settled()
				s := r.receipt(2)
				affected, byCandidate, fuel := uint64(0), uint64(0), uint64(0)
				for _, step := range s.Steps {
					byCandidate += step.ByCandidate
					for _, command := range step.Commands {
						affected, fuel = affected+command.PDUs, fuel+command.Fuel[1]
					}
				}
				otherwise := r.otherwise()
				t.Logf("%v; of %d PDUs, %d affected, %d by the candidate, %d otherwise; its fuel %d", l["reason"], r.sent, affected, byCandidate, otherwise, fuel)
				most := c.most
				if c.share {
					most = affected/100 + affected/200 + 3 // users do not talk equally often
				}
				if share == "0%" {
					most = 0
				}
				if !strings.HasPrefix(fmt.Sprint(l["reason"]), c.found) || otherwise > most || otherwise > byCandidate || share == "0%" && byCandidate > 0 {
					t.Errorf("%v; %d PDUs obeyed otherwise, %d by the candidate; want %d at most", l["reason"], otherwise, byCandidate, most)
				}
				if s.Result != history.RolledBack || s.Sums.Lost != 0 || r.count("session closed") > 0 {
					t.Errorf("result %s, sums %+v, %d sessions closed", s.Result, s.Sums, r.count("session closed"))
				}
			})
		}
	}
}

// A candidate that handles announcements otherwise by their id is refused before traffic.
func TestBadReleaseByIDs(t *testing.T) {
	t.Parallel()
	r := startTalkers(t, staged, "file:policy.wasm", map[string]string{"policy.wasm": guest{}.build(t)})
	replace(t, filepath.Join(r.dir, "policy.wasm"), guest{online: "4"}.build(t))
	r.until("policy refused")
	r.settled()
	if n := r.otherwise(); n > 0 || r.count("release gate", "CID_OTHER_ONLINE_USER_INFO") == 0 || r.count("release begins") > 0 {
		t.Errorf("%d PDUs obeyed otherwise", n)
	}
}

// byItself is a release that takes seconds.
const byItself = `release = { mode = "staged", hold = "1s", sample = 300, bake = "2s" }`

// A good candidate reaches done although the stable policy traps on some bodies, and each peer
// receives what it would receive without a release.
func TestGoodReleaseAfterTraps(t *testing.T) {
	t.Parallel()
	traps := guest{chats: inspected, inspect: sometimes(10, "unreachable")}
	r := startTalkers(t, byItself, "file:policy.wasm", map[string]string{"policy.wasm": traps.build(t)})
	replace(t, filepath.Join(r.dir, "policy.wasm"), guest{chats: inspected}.build(t))
	r.until("release done", "release rolled back", "release paused")
	r.expect("release done")
	r.settled()
	if n, s := r.otherwise(), r.receipt(2); n > 0 || s.Result != history.Done || s.Sums.Lost != 0 {
		t.Errorf("%d PDUs obeyed otherwise; %+v", n, s)
	}
}

// The shipped unicast goes through to done after teamtalk with nothing in accept, though some chats
// are larger than what it may inspect. Every chat reaches the user to whom it goes.
func TestUnicastRelease(t *testing.T) {
	t.Parallel()
	r := startTalkers(t, byItself, "teamtalk", nil)
	large := make([]byte, 65*kib)
	r.message = func(from, to int, n uint32) []byte {
		f, u, zero := uint32(from), uint32(to), uint32(0)
		m := &pb.IMMsgData{FromUserId: &f, ToSessionId: &u, MsgId: &zero, CreateTime: &zero, MsgType: pb.MsgType_MSG_TYPE_SINGLE_TEXT.Enum(), MsgData: []byte("hello")}
		if n%500 == 0 {
			m.MsgData = large
		}
		p := pdutest.PDU(pdu.CID_MSG_DATA, 0, m)
		return pdutest.Raw(pdu.CID_MSG_DATA, 0, append(p[pdu.HeaderLen:], counted(n)...))
	}
	r.configure(byItself, `policy = "unicast"`)
	r.until("release done", "release rolled back", "release paused")
	r.expect("release done")
	r.settled()
	total, missed := uint64(0), 0
	for n := uint32(1); n <= r.sent; n++ {
		if total += uint64(r.copies[n].Load()); r.to[n].Load() != 0 {
			missed++
		}
	}
	s := r.receipt(2)
	t.Logf("%d PDUs, %d copies; %+v", r.sent, total, s.Steps)
	if s.Result != history.Done || s.Sums.Lost != 0 || missed > 0 {
		t.Errorf("%d chats do not get where they go; %+v", missed, s)
	}
}
