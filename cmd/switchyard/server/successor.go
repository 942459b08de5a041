package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"switchyard/policy/sanitize"
	"switchyard/proxy/handover"
)

// Steps of an upgrade before those of package handover.
const (
	stepProgram handover.Step = "program" // the new program is found, and says what it is
	stepStart   handover.Step = "start"   // it is started
)

const (
	// handoverVariable is the environment variable of a process that is to take over: the number
	// of the descriptor of its stream.
	handoverVariable = "SWITCHYARD_HANDOVER"
	// versionTime is how long the new program may take to print its version.
	versionTime = 10 * time.Second
)

// startedAs is the path by which this program was started, and startedIn the working directory of
// that moment. What the path leads to may change: that is what an upgrade is for.
var (
	startedAs    = os.Args[0]
	startedIn, _ = os.Getwd()
)

// programPath returns the path of the new program: the one that was asked for, or what the path by
// which this program was started leads to now. A package replaces the file at that path, so the
// running program itself is not what is wanted; it is the last resort.
func programPath(asked string) (string, error) {
	if asked != "" {
		return asked, nil
	}
	if strings.ContainsRune(startedAs, filepath.Separator) {
		if filepath.IsAbs(startedAs) {
			return startedAs, nil
		}
		return filepath.Join(startedIn, startedAs), nil
	}
	if found, err := exec.LookPath(startedAs); err == nil {
		return filepath.Abs(found)
	}
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w; name the new one by --program", err)
	}
	return path, nil
}

// A successor is the new process, as the old one sees it.
type successor struct {
	conn *handover.Conn
	cmd  *exec.Cmd
	stop func()      // conn.Stop, once
	took []departure // what it serves now; nil before
}

// An offered is what askSuccessor sends to Serve.
type offered struct {
	successor *successor // nil if there is none
	offer     handover.Offer
	err       error // a *handover.Error
}

// askSuccessor starts the new program and asks what it could serve with. It runs in a goroutine of
// its own, as the new program loads all policies meanwhile, and sends the result to Serve, unless ctx
// is done before; the new process has ended then.
func (srv *server) askSuccessor(ctx context.Context, program string) {
	o := srv.offerOf(ctx, program)
	select {
	case srv.offers <- o:
	case <-ctx.Done():
		o.successor.end("the server stops", 0)
	}
}

// offerOf takes the new program through the steps before the handover: it is what it should be, it
// starts, and it says what it could serve with. Each step has a name, which the operator sees if it
// fails.
func (srv *server) offerOf(ctx context.Context, program string) offered {
	if err := checkProgram(ctx, program, srv.env); err != nil {
		return offered{err: &handover.Error{Step: stepProgram, Err: err}}
	}
	srv.records.Recheck() // if that fails, the offer shows what the new process does not know
	s, err := startSuccessor(program, srv.env, srv.stderr)
	if err != nil {
		return offered{err: &handover.Error{Step: stepStart, Err: err}}
	}
	version, _, _ := built()
	offer, err := s.conn.Ask(ctx, handover.Hello{Version: version, PID: os.Getpid()}, handover.DefaultLimits)
	if err != nil {
		state := s.end(err.Error(), endTime)
		return offered{err: &handover.Error{Step: handover.StepOffer, Err: fmt.Errorf("%w (%s)", errors.Unwrap(err), state)}}
	}
	return offered{successor: s, offer: offer}
}

// endTime is how long a new process that is not wanted may take to end by itself.
const endTime = time.Second

// checkProgram asks the program for its version, which says whether it can take over. A program
// that is another one, or one from before there were handovers, would begin something else if it
// was started like this one.
func checkProgram(ctx context.Context, program string, env []string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, versionTime, fmt.Errorf("it has not printed its version within %v", versionTime))
	defer cancel()
	text, err := printedVersion(ctx, program, env)
	want := fmt.Sprintf("handover %d", handover.Format)
	lines := strings.Split(text, "\n")
	has := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "handover ") })
	short := func(line string) string { return sanitize.Text(sanitize.Cut(line, 100)) }
	name := short(lines[0])
	_, failed := errors.AsType[*exec.ExitError](err)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", program, context.Cause(ctx))
	case failed:
		return fmt.Errorf("run '%s version': %w, so it is not switchyard, or it is damaged; name another program by --program", program, err)
	case err != nil:
		return fmt.Errorf("run '%s version': %w; name a program that runs on this machine", program, err)
	case !strings.HasPrefix(name, "switchyard "):
		return fmt.Errorf("'%s version' prints %q, so it is not switchyard; name another program by --program", program, name)
	case has < 0:
		return fmt.Errorf("%s at %s cannot take over connections; restart this server with it instead", name, program)
	case lines[has] != want:
		return fmt.Errorf("%s at %s speaks another format of the handover (%s) than this program (%s); restart this server with it instead",
			name, program, short(lines[has]), want)
	}
	return nil
}

// printedVersion returns what '<program> version' prints. It does not wait for processes that the
// program has left behind, which may hold its standard output open.
func printedVersion(ctx context.Context, program string, env []string) (string, error) {
	var text versionText
	cmd := exec.CommandContext(ctx, program, "version")
	cmd.Env, cmd.Stdout, cmd.WaitDelay = withoutHandover(env), &text, time.Second
	err := cmd.Run()
	switch {
	case text.tooLong:
		return "", fmt.Errorf("it prints more than %d bytes", maxVersion)
	case errors.Is(err, exec.ErrWaitDelay):
		err = nil
	}
	return string(text.bytes), err
}

// maxVersion limits what a program may print as its version, in bytes.
const maxVersion = 4 << 10

// A versionText is what a program has printed. When it prints too much, its pipe is closed.
type versionText struct {
	bytes   []byte
	tooLong bool
}

// Write takes what the program prints. An error ends the copy, and with it the program's pipe.
func (t *versionText) Write(p []byte) (int, error) {
	if t.tooLong = len(t.bytes)+len(p) > maxVersion; t.tooLong {
		return 0, io.ErrShortWrite
	}
	t.bytes = append(t.bytes, p...)
	return len(p), nil
}

// startSuccessor starts the program with the arguments and the environment of this one. What it
// logs goes to the same place.
func startSuccessor(program string, env []string, stderr io.Writer) (*successor, error) {
	conn, theirs, err := handover.Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, stderr
	cmd.ExtraFiles = []*os.File{theirs} // descriptor 3
	cmd.Env = append(withoutHandover(env), handoverVariable+"=3")
	if err := cmd.Start(); err != nil {
		conn.Close()
		return nil, err
	}
	return &successor{conn: conn, cmd: cmd, stop: sync.OnceFunc(conn.Stop)}, nil
}

// withoutHandover returns the environment without what was meant for this process alone.
func withoutHandover(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		return strings.HasPrefix(entry, handoverVariable+"=") || strings.HasPrefix(entry, "WATCHDOG_PID=")
	})
}

// passOn passes reloads on until this process has left. An upgrade is not passed on: whoever sends two
// signals for one gets one.
func (s *successor) passOn(signals signals, log *slog.Logger, left <-chan struct{}) {
	for {
		select {
		case one := <-signals.hangups:
			s.cmd.Process.Signal(one)
		case one := <-signals.upgrades:
			log.Warn("upgrade refused; another process serves", "by", one.String(), "pid", s.cmd.Process.Pid)
		case <-left:
			select {
			case one := <-signals.hangups:
				s.cmd.Process.Signal(one)
			default:
			}
			return
		}
	}
}

// passOnLast passes a stop on that came while this process ended. Afterwards the signal ends it as any
// other process. A nil successor is none.
func (s *successor) passOnLast(stopper *stopper, stops chan os.Signal) {
	signal.Stop(stops)
	if s != nil && (stopper.isRequested() || len(stops) > 0) {
		s.stop()
	}
}

// end ends the new process, which is not wanted, and returns how it ended. within is how long it may
// take to end by itself before it is killed. It serves nothing yet, so that harms nobody. A nil
// successor is none.
func (s *successor) end(why string, within time.Duration) string {
	if s == nil {
		return ""
	}
	s.conn.Abort(why)
	kill := time.AfterFunc(within, func() { s.cmd.Process.Kill() })
	defer kill.Stop()
	s.cmd.Wait()
	return s.cmd.ProcessState.String()
}
