package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// One stream carries three kinds of events, in the format of server-sent events:
//
//	event: snapshot                            all figures, once a second
//	data: {"time":"…","tenants":[…],…}
//
//	event: log                                 a line of the log, with its number
//	id: 4711
//	data: {"id":4711,"level":"INFO",…}
//
//	event: policy                              a policy came into force or was refused
//	data: {"tenant":"default","state":"in-force",…}
//
// A browser that reconnects sends the last id as Last-Event-ID, and gets the lines after it, as far
// as Lines still has them. Snapshots and policies have no id: the first snapshot after connecting
// has everything.

// A latestSnapshot is the snapshot of the last second, shared by all streams of events.
type latestSnapshot struct {
	changed notifier

	mu   sync.Mutex // guards what follows
	seq  uint64     // number of the snapshot, from 1
	text []byte     // of the snapshot, as JSON
}

// publishSnapshot makes a snapshot if any stream is open: one for all streams.
func (s *Server) publishSnapshot() {
	if len(s.streams) == 0 {
		return
	}
	text, err := json.Marshal(s.snapshot())
	if err != nil {
		s.log.Error("make a snapshot", "error", err)
		return
	}
	s.latest.mu.Lock()
	s.latest.seq++
	s.latest.text = text
	s.latest.mu.Unlock()
	s.latest.changed.notify()
}

// after returns the snapshot and its number; no snapshot if that is the given number.
func (n *latestSnapshot) after(seq uint64) ([]byte, uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.seq == seq {
		return nil, seq
	}
	return n.text, n.seq
}

// events streams snapshots, log lines, policy changes and entries of their history for as long as the client reads.
// Nothing is queued per client: a slow one skips snapshots, and misses lines that Lines has
// already overwritten.
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, nil, "Last-Event-ID")
	if err != nil {
		return err
	}
	if id := r.Header.Get("Last-Event-ID"); id != "" && !q.Has("Last-Event-ID") {
		q.Set("Last-Event-ID", id)
	}
	line := q.number("Last-Event-ID", 0, 0, math.MaxUint64)
	if q.err != nil {
		return q.err
	}
	if err := s.streams.acquire("streams of events are open; close one of them"); err != nil {
		return err
	}
	defer s.streams.release()
	wake := make(chan struct{}, 1)
	for _, n := range []*notifier{&s.latest.changed, &s.options.History.changed, &s.options.Lines.changed} {
		defer n.subscribe(wake)()
	}
	s.sampler.keepFresh()
	clearDeadlines(w)
	w.Header().Set("Content-Type", "text/event-stream")
	feed := &feed{server: s, stream: s.stream(w), line: line}
	feed.run(r, wake)
	return nil
}

// A feed is one client's stream of events.
type feed struct {
	server *Server
	stream *stream

	line, policy, release, snapshot uint64 // the last that were sent
}

// run sends what is new, again and again, until the client leaves or the server stops. Where a stream
// begins is taken before the first snapshot is made: what happens in between is in both, and nothing is
// in neither.
func (f *feed) run(r *http.Request, wake <-chan struct{}) {
	s := f.server
	_, f.policy = s.options.History.after(math.MaxUint64) // earlier ones are in /api/v1/policies
	f.release = s.options.Records.Position().Number       // earlier ones are in /api/v1/releases/history
	_, f.snapshot = s.latest.after(math.MaxUint64)
	first, err := json.Marshal(s.snapshot())
	if err == nil {
		err = f.send("snapshot", "", first)
	}
	for err == nil {
		if err = f.sendNew(); err != nil {
			break
		}
		select {
		case <-wake:
		case <-r.Context().Done():
			return
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.logFew(slog.LevelInfo, "events cut off: they were not taken in time", "client", callerOf(r).name)
	}
}

// sendNew sends everything that is newer than what was sent last.
func (f *feed) sendNew() error {
	s := f.server
	lines, last := s.options.Lines.after(f.line)
	f.line = last
	for _, l := range lines {
		if err := f.sendJSON("log", strconv.FormatUint(l.ID, 10), l); err != nil {
			return err
		}
	}
	policies, last := s.options.History.after(f.policy)
	f.policy = last
	for _, p := range policies {
		if err := f.sendJSON("policy", "", p); err != nil {
			return err
		}
	}
	if err := f.sendReleases(); err != nil {
		return err
	}
	text, seq := s.latest.after(f.snapshot)
	if f.snapshot = seq; text == nil {
		return nil
	}
	return f.send("snapshot", "", text)
}

// sendReleases sends the new entries of the history of policies, at most maxEntries. Each snapshot
// wakes the stream, so they arrive within a second.
func (f *feed) sendReleases() error {
	records := f.server.options.Records
	last := records.Position().Number
	if last <= f.release {
		return nil
	}
	for _, e := range slices.Backward(records.Recent("", int(min(last-f.release, maxEntries)))) {
		if e.Number <= f.release {
			continue
		}
		f.release = e.Number
		if err := f.sendJSON("release", "", EntryOf(&e)); err != nil {
			return err
		}
	}
	return nil
}

// sendJSON sends one event. An empty id leaves the client's last one as it is.
func (f *feed) sendJSON(event, id string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return f.send(event, id, text)
}

// send sends one event. data is JSON on one line.
func (f *feed) send(event, id string, data []byte) error {
	if id != "" {
		id = "id: " + id + "\n"
	}
	_, err := fmt.Fprintf(f.stream, "event: %s\n%sdata: %s\n\n", event, id, data)
	return err
}

// A stream is an answer that flushes each write. A write fails if the client does not read it
// within clientTimeout.
type stream struct {
	w             http.ResponseWriter
	control       *http.ResponseController
	clientTimeout time.Duration
	bytes         int64 // written
}

func (s *Server) stream(w http.ResponseWriter) *stream {
	return &stream{w: w, control: http.NewResponseController(w), clientTimeout: s.clientTimeout}
}

// Write implements io.Writer. Each write has its own deadline: a stream may last, but a client
// that stops reading may not.
func (s *stream) Write(p []byte) (int, error) {
	if err := s.control.SetWriteDeadline(time.Now().Add(s.clientTimeout)); err != nil {
		return 0, err
	}
	n, err := s.w.Write(p)
	if s.bytes += int64(n); err == nil {
		err = s.control.Flush()
	}
	return n, err
}
