package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

// news is the snapshot of this second, for those who look on.
type news struct {
	bell bell

	mu   sync.Mutex // guards the rest
	seq  uint64     // how many there were
	text []byte     // as JSON
}

// tell makes a snapshot for those who look on, if there are any: once for all of them.
func (s *Server) tell() {
	if len(s.streams) == 0 {
		return
	}
	text, err := json.Marshal(s.snapshot())
	if err != nil {
		s.log.Error("make a snapshot", "error", err)
		return
	}
	s.news.mu.Lock()
	s.news.seq++
	s.news.text = text
	s.news.mu.Unlock()
	s.news.bell.ring()
}

// after returns the snapshot, if it is not the one of that number, and its number.
func (n *news) after(seq uint64) ([]byte, uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.seq == seq {
		return nil, seq
	}
	return n.text, n.seq
}

// events tells what happens, for as long as the client takes it in. Nothing is kept for
// a client: one that takes its time is told the snapshot of its time, and misses lines
// that are not remembered any more.
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "Last-Event-ID")
	if err != nil {
		return err
	}
	if id := r.Header.Get("Last-Event-ID"); id != "" && !q.Has("Last-Event-ID") {
		q.Set("Last-Event-ID", id)
	}
	line, err := number(q, "Last-Event-ID", 0, 0, math.MaxUint64)
	if err != nil {
		return err
	}
	if err := s.streams.take("streams of events are open; close one of them"); err != nil {
		return err
	}
	defer s.streams.leave()
	wake := make(chan struct{}, 1)
	for _, b := range []*bell{&s.news.bell, &s.facts.Chronicle.bell, &s.facts.Lines.bell} {
		defer b.hear(wake)()
	}
	s.sampler.want()
	takesLong(w)
	w.Header().Set("Content-Type", "text/event-stream")
	feed := &feed{server: s, stream: s.stream(w), line: line}
	feed.run(r, wake)
	return nil
}

// A feed is one client's stream of events.
type feed struct {
	server *Server
	stream *stream

	line, policy, snapshot uint64 // those that were told last
}

// run tells what there is, again and again, until the client or the server goes.
func (f *feed) run(r *http.Request, wake <-chan struct{}) {
	s := f.server
	_, f.policy = s.facts.Chronicle.after(math.MaxUint64) // what was before is in /api/v1/policies
	_, f.snapshot = s.news.after(math.MaxUint64)
	first, err := json.Marshal(s.snapshot())
	if err == nil {
		err = f.send("snapshot", "", first)
	}
	for err == nil {
		if err = f.tell(); err != nil {
			break
		}
		select {
		case <-wake:
		case <-r.Context().Done():
			return
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.log.Info("events cut off: they were not taken in time", "client", callerOf(r).name)
	}
}

// tell sends what is new.
func (f *feed) tell() error {
	s := f.server
	lines, last := s.facts.Lines.after(f.line)
	f.line = last
	for _, l := range lines {
		if err := f.sendJSON("log", strconv.FormatUint(l.ID, 10), l); err != nil {
			return err
		}
	}
	policies, last := s.facts.Chronicle.after(f.policy)
	f.policy = last
	for _, p := range policies {
		if err := f.sendJSON("policy", "", p); err != nil {
			return err
		}
	}
	text, seq := s.news.after(f.snapshot)
	if f.snapshot = seq; text == nil {
		return nil
	}
	return f.send("snapshot", "", text)
}

func (f *feed) sendJSON(event, id string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return f.send(event, id, text)
}

// send sends one event. JSON has no ends of lines within.
func (f *feed) send(event, id string, data []byte) error {
	if id != "" {
		id = "id: " + id + "\n"
	}
	_, err := fmt.Fprintf(f.stream, "event: %s\n%sdata: %s\n\n", event, id, data)
	return err
}

// A stream sends what is written at once. A client that does not take it in time has
// its connection closed.
type stream struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	bytes    int64
}

func (s *Server) stream(w http.ResponseWriter) *stream {
	return &stream{w: w, control: http.NewResponseController(w), patience: s.patience}
}

func (s *stream) Write(p []byte) (int, error) {
	if err := s.control.SetWriteDeadline(time.Now().Add(s.patience)); err != nil {
		return 0, err
	}
	n, err := s.w.Write(p)
	if s.bytes += int64(n); err == nil {
		err = s.control.Flush()
	}
	return n, err
}
