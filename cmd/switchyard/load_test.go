package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"switchyard/pdu"
)

// loadTable is a table that broadcasts messages. Its action for FILE_NOTIFY makes versions
// differ.
const loadTable = `[route]
CID_MSG_DATA = "broadcast-except-sender"
CID_FILE_NOTIFY = %q
CID_BUDDY_LIST_USERS_STATUS_REQUEST = "handle users-status-request"
`

// Policies are swapped while senders send at full speed, every fourth of them broken. Every
// receiver gets every PDU once and in the same order, and the counts add up.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	const senders, receivers = 4, 3
	reloads := 3
	if full {
		reloads = 20
	}
	dir := t.TempDir()
	save := func(i int) {
		text := fmt.Sprintf(loadTable, []string{"broadcast-except-sender", "broadcast-all", "drop"}[i%3])
		if i%4 == 3 {
			text = "[route]\nCID_MSG_DATA = \"brodcast\"\n"
		}
		replace(t, filepath.Join(dir, "routes.toml"), text)
	}
	save(0)
	p := start(t, dir, "--policy", "file:routes.toml", "--set", "reload.debounce=20ms")

	var received [receivers]atomic.Int64
	var streams [receivers][sha256.Size]byte
	var reading, sending sync.WaitGroup
	peers := make([]peer, receivers+senders)
	for i := range peers {
		peers[i] = p.dial()
	}
	for i, c := range peers[:receivers] {
		reading.Go(func() { streams[i] = receive(t, c, senders, &received[i]) })
	}
	stop := make(chan struct{})
	slowest := func() int64 { return min(received[0].Load(), received[1].Load(), received[2].Load()) }
	var sent atomic.Int64
	for i, c := range peers[receivers:] {
		reading.Go(func() { io.Copy(io.Discard, c) })
		sending.Go(func() { send(t, c, i, stop, &sent, slowest) })
	}

	for i := 1; p.count("policy reloaded") < reloads || p.count("policy refused") < 1; i++ {
		from := p.logged()
		save(i)
		p.expectFrom(from, `"msg":"policy re`) // reloaded or refused
	}
	close(stop)
	sending.Wait()
	eventually(t, func() bool { return slowest() >= sent.Load() }, func() string {
		return fmt.Sprintf("a receiver got %d PDUs of %d", slowest(), sent.Load())
	})
	p.signal(syscall.SIGTERM) // not before, as a busy machine may not read all of it in a drain's second
	reading.Wait()
	if code := p.exit(); code != exitStopped {
		t.Errorf("exit code %d", code)
	}

	for i := range receivers {
		if got, want := received[i].Load(), sent.Load(); got != want {
			t.Errorf("receiver %d got %d PDUs of %d", i, got, want)
		}
		if streams[i] != streams[0] {
			t.Errorf("receiver %d received in another order than receiver 0", i)
		}
	}
	checkCounts(t, p)
	t.Logf("%d PDUs to %d receivers; %d policies, %d refused", sent.Load(), receivers,
		p.count("policy reloaded"), p.count("policy refused"))
}

// replace replaces a file atomically: it writes another one and renames it.
func replace(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// ahead is how many PDUs may be on their way.
func ahead() int64 {
	if full {
		return 50_000
	}
	return 5_000 // leaves a busy machine time to reload
}

// send sends numbered PDUs, 64 at a time. It pauses before the slowest receiver lags so much that
// it would be closed.
func send(t *testing.T, c peer, sender int, stop <-chan struct{}, sent *atomic.Int64, slowest func() int64) {
	body := make([]byte, 100)
	body[0] = byte(sender)
	var batch []byte
	for n := uint32(0); ; {
		select {
		case <-stop:
			return
		default:
		}
		if sent.Load()-slowest() > ahead() {
			time.Sleep(time.Millisecond) // only paces the load
			continue
		}
		batch = batch[:0]
		for range 64 {
			binary.BigEndian.PutUint32(body[1:], n)
			n++
			batch = pdu.Append(batch, pdu.SID_MSG, pdu.CID_MSG_DATA, 0, body)
		}
		if _, err := c.Write(batch); err != nil {
			t.Errorf("sender %d: %v", sender, err)
			return
		}
		sent.Add(64)
	}
}

// receive reads to the end of the stream, checks that every sender's numbers are consecutive, and
// returns a hash of all bytes.
func receive(t *testing.T, c peer, senders int, received *atomic.Int64) (stream [sha256.Size]byte) {
	next := make([]uint32, senders)
	hash := sha256.New()
	for r := pdu.NewReader(io.TeeReader(c, hash), pdu.DefaultMaxLen); ; {
		batch, err := r.ReadBatch()
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			return [sha256.Size]byte(hash.Sum(nil))
		}
		if err != nil {
			t.Errorf("receive: %v", err)
			return stream
		}
		for ; len(batch) > 0; batch = batch[pdu.ParseHeader(batch).Length:] {
			body := batch[pdu.HeaderLen:]
			sender, n := body[0], binary.BigEndian.Uint32(body[1:])
			if n != next[sender] {
				t.Errorf("sender %d: number %d where %d is next", sender, n, next[sender])
				return stream
			}
			next[sender]++
			received.Add(1)
		}
	}
}

// checkCounts checks that the counts that a stopped process has logged add up.
func checkCounts(t *testing.T, p *process) {
	t.Helper()
	sum := func(v any) (total float64) {
		for _, n := range v.(map[string]any) {
			total += n.(float64)
		}
		return total
	}
	pdus, copies := p.expect(`"msg":"PDUs"`), p.expect(`"msg":"copies"`)
	if got := sum(pdus["accepted"]) + sum(pdus["dropped"]); got != pdus["received"] {
		t.Errorf("accepted and dropped are %v PDUs, received %v", got, pdus["received"])
	}
	if got := copies["delivered"].(float64) + sum(copies["discarded"]); got != copies["due"] {
		t.Errorf("delivered and discarded are %v copies, due %v", got, copies["due"])
	}
}

// BenchmarkEndToEnd measures PDUs of 200 bytes from one sender to seven receivers, through
// another process.
func BenchmarkEndToEnd(b *testing.B) {
	const receivers, batch = 7, 64
	p := start(b, b.TempDir())
	sender := p.dial()
	var readers []peer
	for range receivers {
		readers = append(readers, p.dial())
	}
	one := pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 0, make([]byte, 184))
	many := bytes.Repeat(one, batch)
	total := b.N * batch * len(one)
	b.SetBytes(int64(receivers * batch * len(one)))
	b.ResetTimer()
	var reading sync.WaitGroup
	var least atomic.Int64
	for i, r := range readers {
		reading.Go(func() {
			buf := make([]byte, 256<<10)
			for n := 0; n < total; {
				k, err := r.Read(buf)
				if err != nil {
					b.Error(err)
					return
				}
				if n += k; i == 0 {
					least.Store(int64(n))
				}
			}
		})
	}
	for i := range b.N {
		for int64(i*len(many))-least.Load() > 8<<20 {
			time.Sleep(100 * time.Microsecond)
		}
		if _, err := sender.Write(many); err != nil {
			b.Fatal(err)
		}
	}
	reading.Wait()
	b.ReportMetric(float64(b.N*batch*receivers)/b.Elapsed().Seconds()/1e6, "Mdeliveries/s")
}
