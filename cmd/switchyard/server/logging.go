package server

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"switchyard/policy/sanitize"
	"switchyard/proxy/config"
)

// newLogger returns a logger that writes to w, in the configured format: auto is text on a
// terminal and JSON otherwise.
func newLogger(c config.Log, level *slog.LevelVar, w io.Writer) *slog.Logger {
	level.Set(levelOf(c))
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: sanitizeField}
	if c.Format == "text" || c.Format == "auto" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// How many bytes of a field are logged. Errors may be longer, as one error may list all faults
// of a configuration.
const (
	maxField      = 1 << 10
	maxErrorField = 16 << 10
)

// sanitizeField makes a field safe to print on a terminal, as its text may come from a peer: it
// cuts long text, and escapes what does not print. slog's handlers escape quotes and line ends.
func sanitizeField(_ []string, a slog.Attr) slog.Attr {
	var text string
	switch v := a.Value.Any().(type) {
	case string:
		text = v
	case error:
		text = v.Error()
	case fmt.Stringer:
		return a // one of this program's types, whose text is short
	default:
		return a
	}
	most := maxField
	if a.Key == "error" {
		most = maxErrorField
	}
	if len(text) > most {
		text = sanitize.Cut(text, most) + fmt.Sprintf("… and %d bytes more", len(text)-most)
	}
	return slog.String(a.Key, sanitize.Lines(text))
}

// levelOf returns the level from which lines are logged.
func levelOf(c config.Log) (level slog.Level) {
	_ = level.UnmarshalText([]byte(c.Level)) // the configuration is checked, so it is one of slog's names
	return level
}

// isTerminal reports whether the log goes to a terminal, also through the asyncWriter.
func isTerminal(w io.Writer) bool {
	if s, ok := w.(*asyncWriter); ok {
		w = s.out
	}
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
