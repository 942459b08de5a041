package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"unicode"

	"switchyard/proxy/config"
)

// Whatever a field contains, its event is one line of bounded length that is safe to print on a
// terminal.
func TestFieldsAreSanitized(t *testing.T) {
	for name, text := range map[string]string{
		"lines":     "one\ntwo\r\nlevel=ERROR msg=forged",
		"escapes":   "\x1b[2J\x1b]0;title\x07",
		"backwards": "user\u202eevil\u2066",
		"invisible": "a\u200bb\ufeffc\x00d",
		"not UTF-8": "a\xff\xfeb",
		"quotes":    `" msg="forged`,
		"endless":   strings.Repeat("ü", 50_000),
	} {
		for _, format := range []string{"text", "json"} {
			t.Run(name+" in "+format, func(t *testing.T) {
				var out bytes.Buffer
				log := newLogger(config.Log{Level: "info", Format: format}, new(slog.LevelVar), &out)
				log.Info("event", "peer", text, "error", errors.New(text))
				got := out.String()
				if strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
					t.Errorf("%d lines, want one: %q", strings.Count(got, "\n"), got)
				}
				for _, r := range strings.TrimSuffix(got, "\n") {
					if !unicode.IsPrint(r) {
						t.Errorf("rune %U is logged as it is: %q", r, got)
						break
					}
				}
				if most := 6*(maxField+maxErrorField) + 300; len(got) > most {
					t.Errorf("%d bytes, want at most %d", len(got), most)
				}
				if format == "json" {
					var l map[string]string
					if err := json.Unmarshal(out.Bytes(), &l); err != nil || len(l) != 5 || l["msg"] != "event" {
						t.Errorf("not the JSON that is wanted: %v, %q", err, l)
					}
				} else if n := strings.Count(got, " msg=event "); n != 1 {
					t.Errorf("the message is there %d times: %q", n, got)
				}
			})
		}
	}
}
