package capture

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/proxy/hub/hubtest"
)

func TestEndByTime(t *testing.T) {
	h := newHub()
	hubtest.Join(h)
	hubtest.Join(h)
	record(t, t.Context(), Options{Time: time.Millisecond}, h).end(endedTime)
}

func TestEndByServer(t *testing.T) {
	h := newHub()
	hubtest.Join(h)
	hubtest.Join(h)
	ctx, cancel := context.WithCancel(t.Context())
	l := record(t, ctx, Options{}, h)
	cancel()
	l.end(endedStopped)
}

func TestEndByBytes(t *testing.T) {
	const most = 10_000
	h := newHub()
	a := hubtest.Join(h)
	for range 2 {
		var file bytes.Buffer
		done := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- Run(ctx, &file, "a test", []Source{{"a", h}}, Options{Bodies: true, Bytes: most}) }()
		for ended := false; !ended; {
			a.Send(t, pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, 100)))
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
				ended = true
			default:
				runtime.Gosched()
			}
		}
		cancel()
		if file.Len() > most || file.Len() < most/2 {
			t.Errorf("%d bytes, want close to %d, and not more", file.Len(), most)
		}
		r := NewReader(&file)
		for {
			if _, err := r.Next(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if got := r.Statistics(0).Ended; got != endedBytes {
			t.Errorf("ended as %q, want %q", got, endedBytes)
		}
	}
}

// A client that stops reading neither blocks the hub nor costs memory, and learns how much
// it missed. The test is not parallel, because it measures the heap of the process.
func TestStalledClient(t *testing.T) {
	h := newHub()
	a, _ := hubtest.Join(h), hubtest.Join(h)
	ctx, cancel := context.WithCancel(t.Context())
	l := record(t, ctx, Options{Bodies: true}, h)
	batch := bytes.Repeat(pdutest.Raw(pdu.CID_OTHER_HEARTBEAT, 1, make([]byte, 240)), 100)
	say := func(batches int) { // would block forever if the hub waited for the client
		for range batches {
			a.Send(t, batch)
		}
	}
	say(1000) // the buffers are full now
	before := heap()
	const batches = 4000
	say(batches)
	if grown := int64(heap()) - int64(before); grown > 1<<20 {
		t.Errorf("memory grew by %d bytes for %d PDUs that the client does not take", grown, 100*batches)
	}
	cancel()
	read, missed := uint64(0), uint64(0)
	for {
		rec, err := l.Next()
		if err != nil {
			break
		}
		read++
		missed += rec.Missed
	}
	s := l.Statistics(0)
	if read == 0 || s.PDUs != read || s.PDUs+s.Missed != 100*(batches+1000) {
		t.Errorf("read %d of %d, %d missed of %d", read, s.PDUs, missed, s.Missed)
	}
	if err := <-l.done; err != nil {
		t.Error(err)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// An error of the client ends the capture, and detaches it from the hub.
func TestClientGoesAway(t *testing.T) {
	h := newHub()
	a := hubtest.Join(h)
	in, out := io.Pipe()
	done := make(chan error)
	go func() { done <- Run(t.Context(), out, "a test", []Source{{"a", h}}, Options{}) }()
	in.CloseWithError(errors.New("gone"))
	if err := <-done; err == nil {
		t.Error("no error")
	}
	a.Send(t, pdutest.Heartbeat())
}

// With many senders at once, no record appears twice or out of its sender's order, and
// every record that is absent was counted as missed.
func TestManyPeers(t *testing.T) {
	t.Parallel()
	const peers, each = 8, 3000
	h := newHub()
	hubtest.Join(h)
	hubtest.Join(h)
	ctx, cancel := context.WithCancel(t.Context())
	l := record(t, ctx, Options{}, h)
	var talking sync.WaitGroup
	for range peers {
		g := hubtest.Join(h)
		talking.Go(func() {
			for i := range each {
				g.Send(t, pdutest.Raw(pdu.CID_OTHER_HEARTBEAT, uint16(i), nil))
			}
		})
	}
	go func() {
		talking.Wait()
		cancel()
	}()
	last := make(map[uint64]int)
	var read uint64
	for {
		rec, err := l.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if rec.Kind != PDU {
			last[rec.Session] = -1
			continue
		}
		seq := int(pdu.ParseHeader(rec.PDU).Seq)
		if seq <= last[rec.Session] {
			t.Fatalf("session %d: %d after %d", rec.Session, seq, last[rec.Session])
		}
		last[rec.Session] = seq
		read++
	}
	if s := l.Statistics(0); s.PDUs != read || s.PDUs+s.Missed < peers*each {
		t.Errorf("%d read, statistics are %+v, want %d in all", read, s, peers*each)
	}
}

// The cost of a PDU for the hub with and without a capture.
func BenchmarkTap(b *testing.B) {
	for _, bodies := range []bool{false, true} {
		b.Run(map[bool]string{false: "headers", true: "bodies"}[bodies], func(b *testing.B) {
			h := newHub()
			a := hubtest.Join(h)
			buffer := newBuffer(1)
			defer h.Attach(newTap(buffer, 0, Tenant{Bodies: bodies}))()
			const pdus = 64
			batch := bytes.Repeat(pdutest.Raw(pdu.CID_OTHER_HEARTBEAT, 1, make([]byte, 240)), pdus)
			b.ReportAllocs()
			for i := 0; i < b.N; i += pdus {
				if err := h.Handle(a.Seat, batch); err != nil {
					b.Fatal(err)
				}
				buffer.take()
			}
		})
	}
}
