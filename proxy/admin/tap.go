package admin

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"os"
	"strconv"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/message"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/capture"
)

// A tap shows PDUs as they come, like a capture that is printed. The hub never waits for its client:
// what the client does not take in time is missed and counted, in the buffer of package capture.
//
//	hub ─▶ capture.Watch ─▶ tapWriter.write ─▶ line: wanted? ─▶ buffer ─▶ stream ─▶ client
//	          buffer,         once for all that    │
//	          bounded         has come             └ the filters that cost least come first
//
// Lines are JSON, one for each PDU, for each session that joins or leaves, and for the statistics.

// The largest body that is sent as a message, and how much of another is sent in hex, in bytes.
const (
	mostBody = 16 << 10
	mostHex  = 1 << 10
)

// tapOptions say what a tap is to show.
type tapOptions struct {
	tenants  []string
	commands []pdu.CommandID
	users    map[uint64]bool // nil: of all users
	session  uint64          // 0: of all sessions
	bodies   bool
	pdus     uint64        // 0: any number
	time     time.Duration // 0: any
}

// readTapOptions reads the query of a tap.
func readTapOptions(q *parameters) (t tapOptions, err error) {
	t.tenants, t.commands = q.Values["tenant"], q.commands("command")
	for _, text := range q.Values["user"] {
		id, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			q.fail("user=%.40s: write the number of a user", text)
		}
		if t.users == nil {
			t.users = make(map[uint64]bool)
		}
		t.users[id] = true
	}
	t.session, t.bodies = q.number("session", 0, 1, math.MaxUint64), q.truth("bodies")
	t.pdus, t.time = q.number("pdus", 0, 0, math.MaxUint64), q.duration("time")
	return t, q.err
}

// tap streams what peers send, one line for each PDU. It receives PDUs like a capture does, so
// the hub never waits for it. To filter by users it needs bodies, also if the client asked for none.
func (s *Server) tap(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, []string{"tenant", "command", "user"}, "session", "bodies", "pdus", "time")
	if err != nil {
		return err
	}
	asked, err := readTapOptions(q)
	if err != nil {
		return err
	}
	sources, err := s.sources(asked.tenants)
	if err != nil {
		return err
	}
	if err := s.taps.acquire("taps are open; close one of them"); err != nil {
		return err
	}
	defer s.taps.release()
	s.logRequest(r, "tap", "tenants", sourceNames(sources), "bodies", asked.bodies)
	ctx := r.Context()
	if asked.time > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, asked.time)
		defer cancel()
	}
	clearDeadlines(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	t := &tapWriter{tapOptions: asked, sources: sources, stream: s.stream(w)}
	o := capture.Options{Bodies: asked.bodies || asked.users != nil, Commands: asked.commands}
	err = capture.Watch(ctx, sources, o, t.write)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.logFew(slog.LevelInfo, "tap cut off: it was not taken in time", "client", callerOf(r).name)
	}
	return nil
}

// A tapWriter writes one tap. It belongs to the goroutine of the request.
type tapWriter struct {
	tapOptions
	sources []capture.Source
	stream  *stream
	sent    uint64 // PDUs
	buffer  []byte // lines that are not written yet
}

// errEnough ends a tap that has sent as many PDUs as it was asked for.
var errEnough = errors.New("as many PDUs as asked for")

// write writes records, and statistics if there are none or the tap ends: a client sees by them that the
// tap still works, and how many PDUs it has missed.
func (t *tapWriter) write(records []capture.Record, missed []uint64) error {
	t.buffer = t.buffer[:0]
	var end error
	for i := range records {
		line, wanted := t.line(&records[i])
		if !wanted {
			continue
		}
		t.put(line)
		if line.Kind == api.TapPDU {
			t.sent++
		}
		if t.pdus > 0 && t.sent >= t.pdus {
			end = errEnough
			break
		}
		if len(t.buffer) > 64<<10 {
			if err := t.flush(); err != nil {
				return err
			}
		}
	}
	if len(records) == 0 || end != nil {
		for i, s := range t.sources {
			t.put(api.TapLine{Kind: api.TapStatistics, Time: time.Now().UTC(), Tenant: s.Name, Missed: &missed[i], PDUs: &t.sent})
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	return end
}

// put adds a line to the buffer.
func (t *tapWriter) put(line api.TapLine) {
	text, err := json.Marshal(line)
	if err == nil {
		t.buffer = append(append(t.buffer, text...), '\n')
	}
}

// flush writes the buffer. The client must take it within clientTimeout.
func (t *tapWriter) flush() error {
	if len(t.buffer) == 0 {
		return nil
	}
	_, err := t.stream.Write(t.buffer)
	t.buffer = t.buffer[:0]
	return err
}

// line returns the line for a record; false if the client did not ask for it. A tap for users does not
// show sessions that join or leave, as these name no user.
func (t *tapWriter) line(r *capture.Record) (api.TapLine, bool) {
	line := api.TapLine{Time: r.Time.UTC(), Tenant: t.sources[r.Tenant].Name, Session: r.Session}
	if t.session != 0 && t.session != r.Session {
		return line, false
	}
	switch r.Kind {
	case capture.Joined:
		line.Kind = api.TapJoined
		return line, t.users == nil && !r.Known
	case capture.Left:
		line.Kind = api.TapLeft
		return line, t.users == nil
	case capture.Grouped:
		return line, false
	}
	h := pdu.ParseHeader(r.PDU)
	body := r.PDU[pdu.HeaderLen:]
	if t.users != nil {
		m := message.Read(h.Command, body)
		if m == nil || !names(m, t.users) {
			return line, false
		}
	}
	line.Kind, line.Service, line.Command, line.Seq, line.Length = api.TapPDU, h.Service.String(), h.Command.String(), &h.Seq, r.Length
	line.Verdict, line.Action, line.Fault = r.Verdict.String(), r.Verdict.Action().String(), string(r.Fault)
	if t.bodies {
		putBody(&line, h.Command, body, r.Whole())
	}
	return line, true
}

// putBody puts the body into the line, as a message if it is one.
func putBody(l *api.TapLine, c pdu.CommandID, body []byte, whole bool) {
	if whole && len(body) <= mostBody {
		if l.Body = message.JSON(c, body); l.Body != nil {
			return
		}
	}
	l.Cut = !whole || len(body) > mostHex
	l.Hex = hex.EncodeToString(body[:min(len(body), mostHex)])
}
