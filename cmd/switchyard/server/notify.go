package server

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// tellTime is how long a message may wait for the supervisor to take it.
	tellTime = time.Second
	// stopMargin is what stopping may take beyond the drain: the last bytes of
	// sessions, policies, recordings. The unit's TimeoutStopSec has it, too.
	stopMargin = 15 * time.Second
	// maxStatus is the size in bytes of a status: of a message that is larger than
	// 4 KiB, systemd takes nothing.
	maxStatus = 1 << 10
)

// A supervisor is what started this process and is told how it does, in the lines
// of sd_notify(3): systemd, or whatever else sets NOTIFY_SOCKET. Without one, nobody
// is told. Any goroutine may call its methods; they wait for tellTime at most.
type supervisor struct {
	// Static after newSupervisor.
	socket   string        // its path, or @ and its abstract name; "" if there is none
	watchdog time.Duration // how long silence may last; 0 is any time
	log      *slog.Logger

	mu     sync.Mutex    // guards what follows
	conn   *net.UnixConn // kept, as descriptors may be used up when it matters
	failed bool          // the last message could not be sent, and that was logged
}

// newSupervisor finds the supervisor in the environment. Its owner calls close.
func newSupervisor(env []string, log *slog.Logger) *supervisor {
	s := &supervisor{log: log}
	var usec, pid string
	for _, entry := range env {
		switch name, value, _ := strings.Cut(entry, "="); name {
		case "NOTIFY_SOCKET":
			s.socket = value
		case "WATCHDOG_USEC":
			usec = value
		case "WATCHDOG_PID":
			pid = value
		}
	}
	if pid == "" || pid == strconv.Itoa(os.Getpid()) {
		if n, err := strconv.ParseUint(usec, 10, 32+10); err == nil { // 50 days
			s.watchdog = time.Duration(n) * time.Microsecond
		}
	}
	return s
}

// ready says that peers are served, be it after the start or after a reload.
func (s *supervisor) ready(status string) {
	if len(status) > maxStatus {
		status = strings.ToValidUTF8(status[:maxStatus], "") + " ..."
	}
	s.tell("READY=1", "STATUS="+status)
}

// statusOf is what the supervisor shows of one who serves: that something was refused,
// as long as it is. complaints has the error by what it is about, or nothing.
func statusOf(complaints map[string]string) string {
	status := "serving"
	for _, about := range slices.Sorted(maps.Keys(complaints)) {
		if text := complaints[about]; text != "" {
			status += "; refused: " + about + ": " + text
		}
	}
	return status
}

// reloading says that the configuration is being read; ready ends it.
func (s *supervisor) reloading() {
	s.tell("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", monotonic().Microseconds()), "STATUS=reloading")
}

// stopping says that the process ends, and that this may take as long as the drain.
// So a drain.timeout beyond the unit's TimeoutStopSec is not cut short.
func (s *supervisor) stopping(drain time.Duration) {
	s.tell("STOPPING=1", fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", (drain+stopMargin).Microseconds()), "STATUS=draining")
}

// guard tells a supervisor with a watchdog that the process is alive, as long as
// alive says so, twice in the time that it waits. It returns when ctx is done, so
// its caller starts a goroutine for it and waits for that.
func (s *supervisor) guard(ctx context.Context, alive func(context.Context) error) {
	if s.socket == "" || s.watchdog <= 0 {
		return
	}
	every := time.NewTicker(max(s.watchdog/2, time.Millisecond))
	defer every.Stop()
	for {
		if err := alive(ctx); err == nil {
			s.tell("WATCHDOG=1")
		} else if ctx.Err() == nil {
			s.log.Error("not alive; if this lasts, the supervisor's watchdog ends the process", "watchdog", s.watchdog.String(), "error", err)
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}

// tell sends one message. A failure is logged, but not again until one was sent.
func (s *supervisor) tell(lines ...string) {
	if s.socket == "" {
		return
	}
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(line, "\n", "; ") // a line of its own would be an order
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.send([]byte(strings.Join(lines, "\n")))
	if err != nil && !s.failed {
		s.log.Warn("the supervisor cannot be told", "socket", s.socket, "error", err)
	}
	s.failed = err != nil
}

func (s *supervisor) send(message []byte) error {
	if s.conn == nil {
		conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.socket, Net: "unixgram"})
		if err != nil {
			return err
		}
		s.conn = conn
	}
	s.conn.SetWriteDeadline(time.Now().Add(tellTime))
	_, err := s.conn.Write(message)
	if err != nil { // the supervisor may have another socket of this name by now
		s.conn.Close()
		s.conn = nil
	}
	return err
}

// close ends it; nobody calls it any more.
func (s *supervisor) close() {
	if s.conn != nil {
		s.conn.Close()
	}
}
