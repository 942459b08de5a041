package server

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A process whose end would be taken for the end of the service is not replaced.
func TestUnreplaceable(t *testing.T) {
	ordinary := position{pid: 700, parent: 600, session: 600, parentSession: 600, parentName: "bash"}
	for _, c := range []struct {
		name   string
		change func(*position)
		want   string
	}{
		{"started from a shell", func(*position) {}, ""},
		{"first process of a container", func(p *position) { p.pid, p.notifies = 1, true }, "first process of its container"},
		{"behind an init in a container", func(p *position) { p.parent, p.session, p.parentSession, p.parentName = 1, 1, 1, "tini" }, "for which tini"},
		{"the same, after an upgrade", func(p *position) { p.parent, p.session, p.parentSession, p.tookOver = 1, 1, 1, true }, ""},
		{"a unit that is notified", func(p *position) { p.parent, p.session, p.parentName, p.notifies = 1, 700, "systemd", true }, ""},
		{"a unit that is not", func(p *position) { p.parent, p.session, p.parentName = 1, 700, "systemd" }, "Type=notify"},
		{"whose shell has ended", func(p *position) { p.parent, p.parentSession, p.parentName = 1, 1, "systemd" }, ""},
	} {
		p := ordinary
		c.change(&p)
		got := ""
		if err := p.unreplaceable(); err != nil {
			got = err.Error()
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	p := positionOf(true, false)
	session, err := unix.Getsid(0) // 0 if the session began outside of this container
	if p.pid != os.Getpid() || p.parent != os.Getppid() || p.parentName == "" || p.session != session || err != nil || !p.notifies {
		t.Errorf("position %+v", p)
	}
}
