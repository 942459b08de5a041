package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"switchyard/proxy/admin/api"
)

// Every line of the log passes here on its way out, so that the dashboard can show the last ones
// without reading a file:
//
//	slog.Logger ─▶ handler ─▶ next, which writes it
//	                  └─────▶ Lines ─▶ streams of events
//
// What peers and files say is made harmless before it is remembered (sanitize), as it is before it is
// written.

// How many lines are remembered, and how many bytes of one text.
const (
	keptLines = 200
	keptText  = 2 << 10
)

// Lines remembers the last lines of the log from level INFO. The zero Lines is ready, and may
// be used by several goroutines.
type Lines struct {
	changed notifier

	mu   sync.Mutex          // guards what follows
	last uint64              // id of the last line
	ring [keptLines]api.Line // line n is at n % keptLines
}

// Handler returns a handler that remembers each line after sanitize, and passes it to next if
// that is enabled for it.
func (l *Lines) Handler(next slog.Handler, sanitize func(groups []string, a slog.Attr) slog.Attr) slog.Handler {
	return &handler{lines: l, next: next, sanitize: sanitize}
}

// add remembers a line.
func (l *Lines) add(line api.Line) {
	l.mu.Lock()
	l.last++
	line.ID = l.last
	l.ring[l.last%keptLines] = line
	l.mu.Unlock()
	l.changed.notify()
}

// after returns the remembered lines with a higher id, oldest first, and the highest id.
func (l *Lines) after(id uint64) (lines []api.Line, last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id > l.last { // it is from before a restart
		id = 0
	}
	if l.last > keptLines {
		id = max(id, l.last-keptLines)
	}
	for id < l.last {
		id++
		lines = append(lines, l.ring[id%keptLines])
	}
	return lines, l.last
}

// A handler adds slog's records to Lines.
type handler struct {
	lines    *Lines
	next     slog.Handler
	sanitize func([]string, slog.Attr) slog.Attr
	prefix   string      // of attribute names, from WithGroup
	own      []slog.Attr // from WithAttrs, with their prefixes
}

// Enabled accepts lines from INFO even if next does not, as they are remembered at any log
// level.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler. A line is remembered before it is written, so that a log which
// blocks does not hide it from operators.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo {
		h.lines.add(h.line(r))
	}
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	other := *h
	other.next = h.next.WithAttrs(attrs)
	other.own = append([]slog.Attr{}, h.own...)
	for _, a := range attrs {
		a.Key = h.prefix + a.Key
		other.own = append(other.own, a)
	}
	return &other
}

// WithGroup implements slog.Handler. In a remembered line, groups are prefixes of names.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	other := *h
	other.next, other.prefix = h.next.WithGroup(name), h.prefix+name+"."
	return &other
}

// line returns the line that is remembered for a record.
func (h *handler) line(r slog.Record) api.Line {
	attributes := make(map[string]any)
	for _, a := range h.own {
		h.put(attributes, "", a)
	}
	r.Attrs(func(a slog.Attr) bool {
		h.put(attributes, h.prefix, a)
		return true
	})
	text, err := json.Marshal(attributes)
	if err != nil {
		text = []byte("{}")
	}
	return api.Line{Time: r.Time.UTC(), Level: r.Level.String(), Message: r.Message, Attributes: text}
}

// put adds an attribute, and a group's members as name.member. Of attributes with one name the last one
// counts, as JSON objects have each name once.
func (h *handler) put(to map[string]any, prefix string, a slog.Attr) {
	a = h.sanitize(nil, a)
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" { // a group without a name stands for its members
			prefix += a.Key + "."
		}
		for _, member := range v.Group() {
			h.put(to, prefix, member)
		}
		return
	}
	to[prefix+a.Key] = jsonOf(v)
}

// jsonOf returns the value as one that JSON can encode in bounded size.
func jsonOf(v slog.Value) any {
	switch v.Kind() {
	case slog.KindBool, slog.KindInt64, slog.KindUint64:
		return v.Any()
	case slog.KindDuration, slog.KindString, slog.KindTime, slog.KindFloat64:
		return short(v.String())
	}
	if _, isText := v.Any().(fmt.Stringer); !isText {
		if _, isError := v.Any().(error); !isError {
			if text, err := json.Marshal(v.Any()); err == nil && len(text) <= keptText {
				return json.RawMessage(text)
			}
		}
	}
	return short(v.String())
}

// short cuts a text at keptText bytes, between two characters.
func short(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) > keptText {
		return strings.ToValidUTF8(text[:keptText], "") + "…"
	}
	return text
}
