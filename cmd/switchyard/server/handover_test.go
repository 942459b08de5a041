package server

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"switchyard/proxy/config"
)

// The path by which a program was started leads to its successor, whatever the file is now.
func TestProgramPath(t *testing.T) {
	as, in := startedAs, startedIn
	t.Cleanup(func() { startedAs, startedIn = as, in })
	startedIn = "/srv"
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "switchyard"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	for _, c := range []struct{ as, asked, want string }{
		{"/usr/bin/switchyard", "", "/usr/bin/switchyard"},
		{"./switchyard", "", "/srv/switchyard"},
		{"switchyard", "", filepath.Join(bin, "switchyard")},
		{"switchyard", "/opt/new/switchyard", "/opt/new/switchyard"},
	} {
		startedAs = c.as
		if got, err := programPath(c.asked); got != c.want || err != nil {
			t.Errorf("started as %s, asked for %q: %s, %v; want %s", c.as, c.asked, got, err, c.want)
		}
	}
}

// Sockets may be in another order, and nothing else.
func TestDifferentSockets(t *testing.T) {
	here := socketsOf(config.Default())
	there := slices.Clone(here)
	slices.Reverse(there)
	if got := differentSockets(here, there); got != nil {
		t.Errorf("the same sockets: %v", got)
	}
	c := config.Default()
	c.Listeners[0].Address = "127.0.0.1:1"
	got := differentSockets(here, socketsOf(c))
	if len(got) != 1 || !strings.Contains(got[0].Error(), "127.0.0.1:1, plain instead of listener") {
		t.Errorf("another address: %v", got)
	}
}

// What is meant for this process alone is not passed on.
func TestWithoutHandover(t *testing.T) {
	got := withoutHandover([]string{"A=1", handoverVariable + "=3", "WATCHDOG_PID=7", "WATCHDOG_USEC=5"})
	if want := []string{"A=1", "WATCHDOG_USEC=5"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
