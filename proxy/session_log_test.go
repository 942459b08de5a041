package proxy

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/logtest"
)

// Peers that come and go a thousand times a second have a few lines each second, and those of
// one reason do not hide those of another. What is left out is counted, the last ones when the
// tenant closes.
func TestFewSessionLines(t *testing.T) {
	const seconds, each = 5, 400
	var lines *logtest.Lines
	inBubble(t, testLimits(), func(y bubble) {
		lines = y.lines
		for range seconds {
			for range each {
				conn, ended := y.enterCounted()
				conn.Write(message(others, 1, ""))
				conn.Close()
				<-ended
			}
			foreign, ended := y.enterCounted()
			foreign.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
			foreign.Close()
			<-ended
			time.Sleep(time.Second)
		}
		conn, ended := y.enterCounted()
		conn.Write(message(others, 1, ""))
		synctest.Wait()
		conn.Close()
		<-ended
	})
	if n := strings.Count(lines.String(), "\n"); n > seconds*20 {
		t.Errorf("%d lines in %d s", n, seconds)
	}
	total := func(message, reason string) (n int) {
		for line := range strings.Lines(lines.String()) {
			left := regexp.MustCompile(`sessions=(\d+)`).FindStringSubmatch(line)
			switch {
			case !strings.Contains(line, message) || !strings.Contains(line, reason):
			case left != nil:
				var k int
				fmt.Sscan(left[1], &k)
				n += k
			default:
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		message, reason string
		want            int
	}{
		{sessionOpened, "", seconds*(each+1) + 1}, {sessionClosed, "reason=peer-closed", seconds*each + 1}, {sessionClosed, "reason=http", seconds},
	} {
		if got := total(c.message, c.reason); got != c.want {
			t.Errorf("%s %s: %d sessions, want %d", c.message, c.reason, got, c.want)
		}
	}
	if !strings.Contains(lines.String(), "level=WARN msg=\"session closed\"") || !strings.Contains(lines.String(), "reason=http") || !strings.Contains(lines.String(), "hint=") {
		t.Errorf("no line about HTTP:\n%s", lines)
	}
}

// A tenant that closes logs what it has left out so far.
func TestSessionLinesAreFlushedAtLast(t *testing.T) {
	inBubble(t, testLimits(), func(y bubble) {
		for range 20 {
			y.enter().Write(message(others, 1, ""))
		}
		synctest.Wait()
		y.Close()
		if text := y.lines.String(); !strings.Contains(text, "more of the same") || !strings.Contains(text, "reason=forced sessions=15") {
			y.Errorf("got %s", text)
		}
	})
}

// The line about a peer that connects has what finds it again.
func TestSessionOpened(t *testing.T) {
	tenant, address, lines := serve(t, patient(testLimits()))
	client := dial(t, address)
	client.Write(message(others, 1, ""))
	want := fmt.Sprintf(`level=INFO msg="session opened" tenant=default session=1 peer=%s local=%s`, client.LocalAddr(), address)
	eventually(t, "it is logged", func() bool { return strings.Contains(lines.String(), want) })
	tenant.Close()
}

// Where the level is above, lines are neither written nor counted.
func TestNoSessionLines(t *testing.T) {
	l := sessionLog{log: slog.New(slog.DiscardHandler)}
	for range 20 {
		l.opened(nil)
	}
	l.lines.Flush(func(kind string, n int) { t.Errorf("%d %s", n, kind) })
}
