package admission

import (
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"switchyard/proxy/logsample"
)

// A flood of refusals makes a few lines, and then one with how many more, even if no
// further connection arrives.
func TestFewLines(t *testing.T) {
	t.Parallel()
	h := open(t, Options{Allow: networks("127.0.0.2/32")})
	const n = 200
	start := time.Now()
	for range n {
		h.dial().Close()
	}
	h.refuses(map[Reason]uint64{NotAllowed: n})
	eventually(t, func() bool { return h.logged() == n }, func() string { return h.lines.String() })
	most := (logsample.Burst + 1) * (2 + int(time.Since(start)/linesEvery))
	if lines := strings.Count(h.lines.String(), "\n"); lines > most {
		t.Errorf("%d lines, want at most %d", lines, most)
	}
	h.dial("127.0.0.2")
	h.serves("main")
}

// Close logs how many lines were left out.
func TestCloseSaysWhatWasLeftOut(t *testing.T) {
	h := open(t, Options{Allow: networks("127.0.0.2/32")})
	for range logsample.Burst * 3 {
		h.dial().Close()
	}
	h.refuses(map[Reason]uint64{NotAllowed: logsample.Burst * 3})
	h.Close()
	if got := h.logged(); got != logsample.Burst*3 {
		t.Errorf("%d in the log, want %d:\n%s", got, logsample.Burst*3, h.lines)
	}
}

// logged returns how many refused connections the log accounts for.
func (h *harness) logged() (n int) {
	for line := range strings.Lines(h.lines.String()) {
		if _, more, found := strings.Cut(line, " connections="); found {
			left, _ := strconv.Atoi(strings.TrimSpace(more))
			n += left
		} else if strings.Contains(line, `msg="connection refused"`) {
			n++
		}
	}
	return n
}

func TestCut(t *testing.T) {
	for name, text := range map[string]string{
		"ascii": strings.Repeat("x", 1000), "wide": strings.Repeat("日", 1000), "shifted": "x" + strings.Repeat("日", 1000),
		"broken": strings.Repeat("\xff", 1000), "as long as may be": strings.Repeat("x", longestField), "short": "日",
	} {
		got := cut(text)
		if len(got) > longestField || len(text) > longestField && !strings.HasSuffix(got, "...") || len(text) <= longestField && got != text {
			t.Errorf("%s: %d bytes, %q", name, len(got), got)
		}
		if !utf8.ValidString(got) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A text from a peer stays one field of bounded length, whatever it contains.
func TestPeersTextIsCut(t *testing.T) {
	h := open(t, Options{TLS: serverTLS(t), Claims: claims(t, ""), HandshakeTimeout: testTimeout})
	handshake(t, h.dial(), strings.Repeat("abcdefghi.", 24)+"example")
	h.logs("reason=unclaimed", "server_name=abcdefghi.")
	for line := range strings.Lines(h.lines.String()) {
		if !strings.Contains(line, `msg="connection refused"`) || len(line) > 1000 {
			t.Error(line)
		}
	}
}
