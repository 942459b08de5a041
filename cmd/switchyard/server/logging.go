package server

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"switchyard/policy/sanitize"
	"switchyard/proxy/config"
)

// newLogger logs to w: text for people if w is a terminal and JSON for machines
// otherwise, unless the configuration says which.
func newLogger(c config.Log, level *slog.LevelVar, w io.Writer) *slog.Logger {
	level.Set(levelOf(c))
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: tame}
	if c.Format == "text" || c.Format == "auto" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// How many bytes of a field are logged. Errors are longer: one may be all faults of a
// configuration.
const (
	maxField      = 1 << 10
	maxErrorField = 16 << 10
)

// tame makes a field harmless, whoever its text is from: what does not print, the marks
// that make a terminal write backwards among it, is spelled out, and what is endless is
// cut. The handlers see to quotes and ends of lines.
func tame(_ []string, a slog.Attr) slog.Attr {
	var text string
	switch v := a.Value.Any().(type) {
	case string:
		text = v
	case error:
		text = v.Error()
	case fmt.Stringer:
		return a // of our own making, and short
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

func levelOf(c config.Log) (level slog.Level) {
	_ = level.UnmarshalText([]byte(c.Level)) // one of slog's names, as the configuration has been checked
	return level
}

func isTerminal(w io.Writer) bool {
	if s, ok := w.(*spool); ok {
		w = s.out
	}
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
