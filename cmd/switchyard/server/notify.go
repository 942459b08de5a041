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

	"switchyard/policy/sanitize"
)

const (
	// notifyTime is how long a message may wait until the supervisor receives it.
	notifyTime = time.Second
	// stopMargin is how long stopping may take after the drain: last bytes of sessions, policies,
	// recordings. The unit's TimeoutStopSec includes it, too.
	stopMargin = 15 * time.Second
	// maxStatus limits a status, in bytes: systemd ignores messages of more than 4 KiB.
	maxStatus = 1 << 10
)

// A supervisor is the process that started this one, and receives reports in the protocol of
// sd_notify(3): systemd, or another that sets NOTIFY_SOCKET. If none does, all methods are
// no-ops. Any goroutine may call them; each blocks for at most notifyTime.
//
//	start            EXTEND_TIMEOUT_USEC=60000000, STATUS=loading policies of acme
//	serving          READY=1, STATUS=serving
//	SIGHUP           RELOADING=1, MONOTONIC_USEC=…   then READY=1 with the result
//	while alive      WATCHDOG=1
//	stop             STOPPING=1, EXTEND_TIMEOUT_USEC=75000000, STATUS=draining
//	upgrade          MAINPID=4711                    from the old process, then READY=1 from the new one
type supervisor struct {
	// Static after newSupervisor.
	socket   string        // its path, or @ and its abstract name; "" without a supervisor
	watchdog time.Duration // after which silence the process is killed; 0 is never
	log      *slog.Logger

	mu     sync.Mutex    // guards what follows
	conn   *net.UnixConn // kept, as descriptors may be used up when it matters
	failed bool          // the last message could not be sent, and that was logged
}

// newSupervisor finds the supervisor in the environment. The caller calls close.
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

// ready reports that peers are served, after the start and after each reload.
func (s *supervisor) ready(status string) {
	s.notify("READY=1", "STATUS="+shortStatus(status))
}

// shortStatus cuts a status at maxStatus bytes.
func shortStatus(status string) string {
	if len(status) > maxStatus {
		return sanitize.Cut(status, maxStatus) + " ..."
	}
	return status
}

// statusOf returns the status of a server that serves, which 'systemctl status' shows: it lists what
// is refused at present. lastErrors has an error, or "", by what it is about.
func statusOf(lastErrors map[string]string) string {
	status := "serving"
	for _, about := range slices.Sorted(maps.Keys(lastErrors)) {
		if text := lastErrors[about]; text != "" {
			status += "; refused: " + about + ": " + text
		}
	}
	return status
}

// reloading reports that the configuration is being read, until ready is called.
func (s *supervisor) reloading() {
	s.notify("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", monotonic().Microseconds()), "STATUS=reloading")
}

// starting reports that the start continues. The supervisor waits so much longer for it.
func (s *supervisor) starting(status string, more time.Duration) {
	s.notify("STATUS="+shortStatus(status), fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", more.Microseconds()))
}

// stopping reports that the process ends, and how long that may take, so that the supervisor
// does not kill it if drain.timeout is longer than the unit's TimeoutStopSec.
func (s *supervisor) stopping(drain time.Duration) {
	s.notify("STOPPING=1", fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", (drain+stopMargin).Microseconds()), "STATUS=draining")
}

// replaced reports that another process serves, and counts as its first sign of life. Until the
// supervisor knows the process, it ignores what that reports.
func (s *supervisor) replaced(by int) {
	s.notify(fmt.Sprintf("MAINPID=%d", by), "STATUS=serving", "WATCHDOG=1")
}

// watchdogLoop reports to a supervisor with a watchdog that the process is alive, twice per watchdog
// time, as long as alive returns no error. A server whose goroutines all run and whose PDUs do not
// move is killed and started again. It returns when ctx is done; the caller runs it in a goroutine
// and waits for it.
func (s *supervisor) watchdogLoop(ctx context.Context, alive func(context.Context) error) {
	if s.socket == "" || s.watchdog <= 0 {
		return
	}
	every := time.NewTicker(max(s.watchdog/2, time.Millisecond))
	defer every.Stop()
	for {
		if err := alive(ctx); err == nil {
			s.notify("WATCHDOG=1")
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

// notify sends one message. A failure is logged unless the message before failed as well, and changes
// nothing else: a server without its supervisor keeps serving.
func (s *supervisor) notify(lines ...string) {
	if s.socket == "" {
		return
	}
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(line, "\n", "; ") // or a peer's text could add a command
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.send([]byte(strings.Join(lines, "\n")))
	if err != nil && !s.failed {
		s.log.Warn("the supervisor cannot be notified", "socket", s.socket, "error", err)
	}
	s.failed = err != nil
}

// send sends a datagram. Each message is one, so a supervisor reads all of it or none.
func (s *supervisor) send(message []byte) error {
	if s.conn == nil {
		conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.socket, Net: "unixgram"})
		if err != nil {
			return err
		}
		s.conn = conn
	}
	s.conn.SetWriteDeadline(time.Now().Add(notifyTime))
	_, err := s.conn.Write(message)
	if err != nil { // a restarted supervisor has another socket of this name
		s.conn.Close()
		s.conn = nil
	}
	return err
}

// close closes the socket. No other method may be called after it.
func (s *supervisor) close() {
	if s.conn != nil {
		s.conn.Close()
	}
}

// startWatchdog starts to report to the supervisor that the process is alive, until stop is
// called.
func (srv *server) startWatchdog() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { srv.supervisor.watchdogLoop(ctx, srv.state.alive) })
	return func() {
		cancel()
		running.Wait()
	}
}
