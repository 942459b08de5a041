package server

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Whoever has started this process may take its end for the end of the service: a container runtime,
// an init inside of a container, systemd without notifications. Then everything would be killed, the
// new process included, so an upgrade is refused before it begins.

// A position is where a process is among others, which decides what its end is taken for.
type position struct {
	pid, parent            int
	session, parentSession int
	parentName             string
	notifies               bool // a supervisor wants to be told which process serves
	tookOver               bool // another process was replaced by this one, so that its end was none of the service
}

// positionOf returns the position of this process.
func positionOf(notifies, tookOver bool) position {
	p := position{pid: os.Getpid(), parent: os.Getppid(), notifies: notifies, tookOver: tookOver}
	p.session, _ = unix.Getsid(0)
	p.parentSession, _ = unix.Getsid(p.parent)
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.parent))
	p.parentName = strings.TrimSpace(string(name))
	return p
}

// unreplaceable returns why the service would end with this process although another one continues;
// nil if it would not.
//
//	pid 1                                      the first process of a container, which ends with it
//	a child of pid 1, in the session of that   the same, behind an init such as tini
//	a child of systemd that leads a session    a unit without Type=notify
func (p position) unreplaceable() error {
	const instead = "serve from two hubs and restart one after the other, or restart this one"
	switch {
	case p.pid == 1:
		return errors.New("this is the first process of its container, which ends with it; " + instead)
	case p.notifies || p.tookOver:
		return nil
	case p.parentName == "systemd" && p.session == p.pid:
		return errors.New("this is the main process of a unit that does not say Type=notify or notify-reload, which ends with it; use the unit that comes with this program, or restart")
	case p.parent == 1 && p.session == p.parentSession:
		return fmt.Errorf("this is the process for which %s, the first one of the container, waits before it ends; %s", p.parentName, instead)
	}
	return nil
}
