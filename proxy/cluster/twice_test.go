package cluster

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"switchyard/proxy/logtest"
)

// A msg_server with two connections is named once, when it has them for longer than a hub takes to be declared
// gone.
func TestTwiceConnectedIsLogged(t *testing.T) {
	var lines logtest.Lines
	h := new(fakeHub)
	c := &membership{settings: settingsOf(h), log: slog.New(slog.NewTextHandler(&lines, nil))}
	now := time.Unix(1000, 0)
	look := func(session uint64, want int) {
		t.Helper()
		h.twice = session
		for range 10 {
			now = now.Add(twiceTime / 10)
			c.warnOfTwice(now)
		}
		if got := strings.Count(lines.String(), "seems to be connected to two hubs"); got != want {
			t.Errorf("it was logged %d times, want %d\n%s", got, want, &lines)
		}
	}
	look(1, 0)
	look(0, 0)
	look(1, 0)
	look(2, 0)
	look(2, 1)
	look(2, 1)
	if !lines.Has("session=2", "other=9", "cluster.standby_links") {
		t.Errorf("logged\n%s", &lines)
	}
}
