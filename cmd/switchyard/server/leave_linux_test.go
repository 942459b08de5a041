package server

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"switchyard/proxy/handover"
	"switchyard/proxy/logtest"
)

// A process that has handed over does not wait for ever for the one that it has replaced, which may be
// stopped.
func TestLeavingDoesNotWaitForAStoppedProcess(t *testing.T) {
	t.Parallel()
	from, stopped, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer stopped.Close() // which says nothing until then
	srv := newServer(nil, nil)
	srv.predecessor = from
	srv.leaving.Go(func() { srv.awaitOld(from) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	left := make(chan struct{})
	go func() {
		defer close(left)
		srv.awaitLeaving(ctx)
	}()
	select {
	case <-left:
	case <-time.After(time.Minute):
		t.Fatal("it waits")
	}
}

// A process that has handed over refuses an upgrade, and says who serves.
func TestUpgradeOfALeavingProcess(t *testing.T) {
	t.Parallel()
	other := &successor{cmd: &exec.Cmd{Process: &os.Process{Pid: 4711}}}
	upgrades, left, passing, lines := make(chan os.Signal), make(chan struct{}), make(chan struct{}), new(logtest.Lines)
	go func() {
		defer close(passing)
		other.passOn(signals{upgrades: upgrades}, slog.New(slog.NewTextHandler(lines, nil)), left)
	}()
	upgrades <- syscall.SIGUSR2
	close(left)
	<-passing
	if !lines.Has("upgrade refused; another process serves", "pid=4711") {
		t.Errorf("it logged %q", lines)
	}
}
