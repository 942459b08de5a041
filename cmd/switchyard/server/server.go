// Package server is the server: it builds everything from the leaves up, reloads it, and stops it in
// reverse. It is the only place where the parts meet.
//
// The goroutine of Serve owns the server. It alone changes what is in force, so nothing here needs a
// lock but what other goroutines read: adminState, for operators, and serving, for connections that
// arrive.
//
//	The life of the process
//	server.go    Serve, and the struct that has everything
//	start.go     the start: which tenants are served before the last policy is loaded
//	run.go       the loop of requests
//	stopper.go   which signals and requests stop the server, and when it waits no longer
//	close.go     the stop, in the reverse order of the start; unwritten.go: its exit code
//	notify.go    what systemd is told of all that
//
//	Configuration and policies
//	plan.go         what a configuration adds, built before it takes effect
//	listener.go     listeners; metrics_address.go and access.go are other parts of a plan
//	reload.go       what a changed file or a request leads to; reload_report.go: the answer
//	watch_files.go  which files are watched for that
//	loads.go        policies that are being loaded, while the server continues
//	policies.go     a policy before it is loaded; sources.go: if it is fetched from an address
//	wanted.go       which policy belongs in force, by the history; records.go writes the history
//	audit.go        the policy that is asked and not obeyed
//
//	Releases in stages
//	releases.go         what operators do to a tenant's policy
//	staged_begin.go     a release begins, or continues with other limits
//	staged.go           its tick, in a goroutine of the tenant
//	staged_carry.go     what it has decided is put in force and recorded
//	release_signals.go  what may go wrong for a whole tenant during it
//
//	upgrade.go   another program takes over; it lists the files about that
//	state.go     what operators see, and where they leave requests; state_read.go reads it
//	check.go     'switchyard check', which loads and prints what a server would serve with
package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"switchyard/cmd/switchyard/trust"
	"switchyard/policy"
	"switchyard/policy/provenance"
	"switchyard/policy/release"
	"switchyard/policy/wasm"
	"switchyard/proxy"
	"switchyard/proxy/cluster"
	"switchyard/proxy/config"
	"switchyard/proxy/handover"
	"switchyard/proxy/hub"
	"switchyard/proxy/order/jetstream"
)

// ErrForced is the error of a stop that did not wait until everything was written.
var ErrForced = errors.New("stopped before everything was written")

// An UnavailableError is an address that cannot be listened on.
type UnavailableError struct{ error }

// A Loader finds, reads and checks the configuration, and says why it is that file. It is
// called at the start and for each reload.
type Loader func() (c *config.Config, why string, err error)

// A server is everything that Serve builds. The goroutine of Serve owns it. Channels that hold one are
// notices (see notice); no channel is ever closed.
type server struct {
	surroundings

	// The configuration, and what was built from it.
	config    *config.Config
	offered   *config.Config // that was read last, if it is being loaded or was refused; it may have faults, and be nil
	checker   *trust.Checker // of policy files, by the configuration in force
	engine    *wasm.Engine   // loads new policies; an earlier one is garbage once no policy of it is left
	tenants   map[string]*served
	listeners map[string]*listener // by their name in the configuration
	inputs    *proxy.Inputs        // shared by all tenants
	ledger    *provenance.Ledger   // of signed versions that were in force
	records   *records             // of policies that were in force
	access    accessLog
	adminInterface

	// What may change that.
	fileWatch
	keyChanges
	loads
	fetching
	starting *plan         // the start, while policies are still being loaded for it
	next     *plan         // a configuration whose policies are being loaded
	releases chan struct{} // sent to when a release has decided something; holds one
	entered  chan struct{} // sent to when a tenant's hub has entered the cluster; holds one
	failed   chan error    // sent to when a tenant's hub cannot take part in the cluster; holds one

	// Requests that wait for an answer or for the end of something else.
	requests  []request     // reloads that operators wait for
	verbs     []verbRequest // about policies, until something is loaded
	missed    bool          // files changed during the start, perhaps the configuration
	postponed bool          // an operator waits for a reload that waits for an address

	// What is logged and shown.
	log        *slog.Logger
	level      *slog.LevelVar
	state      *adminState
	supervisor *supervisor
	lastErrors map[string]string // the error that was last reported, by what it is about
	warned     map[string]string // the warning about what is in force, by what that is

	ending
	upgrades

	// serving is the content of tenants for other goroutines; replaced whole.
	serving atomic.Pointer[map[string]*proxy.Tenant]
}

// surroundings are what the server gets from outside, and what tests replace. They do not change
// while it runs.
type surroundings struct {
	load        Loader
	sandbox     wasm.Sandbox
	env         []string  // of the process
	stderr      io.Writer // of the process, where the log is written
	embedder    func()    // what Embed has to call; nil if this is not part of another command
	startTime   time.Duration
	sourceTime  time.Duration
	historyTime time.Duration
	openBus     func(jetstream.Settings) (cluster.Log, error)
}

// served is one tenant with the policy in force.
type served struct {
	tenant *proxy.Tenant
	since  time.Time // when it began to be served

	// The policy in force.
	active   *policy.Active
	policy   candidate
	engine   *wasm.Engine  // that runs the policy
	loadTime time.Duration // that the policy took to load
	audit    auditState
	before   earlier // the policy that was in force before
	refused  string  // the sum of the file that was refused last; "" if it could not be read

	// What is being loaded.
	next, nextAudit *load // what is to replace policy and audit; nil if nothing is being loaded
	back            *load // an earlier policy that an operator wants in force; nil if none is being loaded

	// Releases.
	badSeconds
	release  *staged                  // of a policy that is to replace it; nil if none is under way
	releases map[release.State]uint64 // that ended, by how
	weighed  policy.Weighed           // by those

	// The cluster.
	member  *cluster.Member          // nil if this hub serves the tenant alone
	cluster string                   // which hub of which cluster it is, see clusterOf
	told    atomic.Pointer[[]uint64] // the sums of its policies that the other hubs are told

	discarded map[hub.Reason]uint64 // copies, when it began to drain
}

// newServer returns a server that has opened nothing. Its channels of capacity one are notices: a
// sender that finds one full need not wait, because what it has to say will be looked at anyway.
func newServer(load Loader, sandbox wasm.Sandbox) *server {
	srv := &server{
		surroundings: surroundings{load: load, sandbox: sandbox, startTime: startTime, sourceTime: sourceTime, historyTime: historyTime, openBus: openJetStream},
		config:       config.Default(), tenants: make(map[string]*served), inputs: proxy.NewInputs(), records: newRecords(),
		fileWatch: fileWatch{changed: make(chan struct{}, 1)}, keyChanges: keyChanges{began: config.Default()},
		loads: loads{loaded: make(chan finished)}, fetching: fetching{fetched: make(chan struct{}, 1)},
		releases: make(chan struct{}, 1), entered: make(chan struct{}, 1), failed: make(chan error, 1),
		level: new(slog.LevelVar), state: newAdminState(), lastErrors: make(map[string]string),
		ending: ending{stopper: newStopper()}, upgrades: upgrades{offers: make(chan offered)},
	}
	srv.publish()
	return srv
}

// notice sends to a channel of capacity one. If it is full, the notice that is there suffices.
func notice(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Serve serves until it is stopped, by a signal or by an operator, and drains. sandbox tries
// policies before they are loaded. env is the environment, in which a supervisor announces
// itself. The log is written to stderr.
//
// The server runs in a goroutine of its own, so that Serve can return although something in it
// does not end. Stop signals have a channel of their own, which is always received from: signals
// that find their channel full are lost, as those of a script that sends many hangups would be.
func Serve(load Loader, sandbox wasm.Sandbox, env []string, stderr io.Writer) error {
	srv := newServer(load, sandbox)
	srv.env = env
	return srv.serveUntilStopped(stderr)
}

// Embed is Serve for a command that is more than a server: it also drains when ctx is done, calls
// serving once when all tenants are served, and refuses to be upgraded, because another process
// would not continue with the rest of the command.
func Embed(ctx context.Context, load Loader, sandbox wasm.Sandbox, stderr io.Writer, serving func()) error {
	srv := newServer(load, sandbox)
	srv.embedder = serving
	defer context.AfterFunc(ctx, func() { srv.state.Drain() })()
	return srv.serveUntilStopped(stderr)
}

// serveUntilStopped is Serve for a server that was made for it.
func (srv *server) serveUntilStopped(stderr io.Writer) error {
	// Signals are received from here on, before anything is built: a stop during the start is a stop.
	stops, hangups := make(chan os.Signal, 8), make(chan os.Signal, 1) // one pending reload reads everything
	signal.Notify(stops, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(hangups, syscall.SIGHUP)
	upgrades := make(chan os.Signal, 1)
	notifyOfUpgrades(upgrades)
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE) // whose default ends the process when the log's reader is gone
	defer signal.Stop(stops)
	defer signal.Stop(hangups)
	defer signal.Stop(upgrades)

	// The deferred calls run in reverse: the stopper's goroutine ends first, then a stop that came while
	// the process ended is passed on to its successor, and last the signals get their defaults again.
	over := make(chan struct{})
	srv.stderr = stderr
	var handedOver *successor
	defer func() { handedOver.passOnLast(srv.stopper, stops) }()
	var watching sync.WaitGroup
	watching.Go(func() { srv.stopper.watch(stops, srv.state.drain, over) })
	defer watching.Wait()
	defer close(over)

	// A panic must reach the goroutine that called Serve, because the caller prints it and sets the exit
	// code. done has room for one, so that the goroutine ends also if Serve has returned.
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- &panicError{fmt.Sprintf("%v\n%s", p, debug.Stack())}
			}
		}()
		done <- srv.serve(signals{hangups, upgrades})
	}()
	select {
	case err := <-done:
		if p, ok := err.(*panicError); ok {
			panic(p.text)
		}
		handedOver = srv.succeeded
		return err
	case <-srv.stopper.abandoned.Done():
		return ErrForced
	}
}

// A panicError carries a panic of the server to the goroutine that called Serve.
type panicError struct{ text string }

func (p *panicError) Error() string { return p.text }

// signals are those that the goroutine of Serve handles.
type signals struct{ hangups, upgrades <-chan os.Signal }

// serve is Serve in the goroutine that owns the server.
//
// The deferred calls run in reverse: the watchdog ends, as a server that closes is not alive;
// then the server closes, then the supervisor's socket, as closing may report to it; and the
// log is flushed last, as all of them write to it.
func (srv *server) serve(signals signals) error {
	from, err := inheritedStream(srv.env)
	if err != nil {
		return InvalidError{err}
	}
	c, why, err := srv.load()
	if err != nil {
		if from != nil {
			from.Refuse(err)
		}
		return err
	}
	srv.config, srv.began = c, c
	c.Commands.Set.Use()
	lines := newAsyncWriter(srv.stderr)
	srv.state.log.Store(lines)
	srv.state.access.Store(&srv.access)
	srv.log = srv.state.remember(newLogger(c.Log, srv.level, lines))
	lines.start(func(lost int) { srv.log.Warn("log lines were lost because the output was too slow", "lines", lost) })
	defer lines.close()
	last := func() {
		srv.logAbandoned()
		lines.close()
	}
	srv.stopper.last.Store(&last)
	srv.stopper.drainTime.Store(int64(c.Drain.Timeout))
	srv.log.Info("configuration", "file", cmp.Or(c.Path, "none"), "why", why)
	srv.supervisor = newSupervisor(srv.env, srv.log)
	defer srv.supervisor.close()
	err = srv.openAndRun(from, signals)
	if srv.startFault != nil {
		return srv.startFault
	}
	if discarded := srv.unwritten.err(); discarded != nil {
		return discarded
	}
	return err
}

// openAndRun serves until the server is to stop, and closes it. from is the stream to a process
// that this one is to replace; nil without one.
func (srv *server) openAndRun(from *handover.Conn, signals signals) error {
	if from != nil {
		err := srv.takeOver(from)
		if errors.Is(err, handover.ErrAborted) {
			srv.log.Info("ended, as the running program keeps serving", "why", err.Error())
			return nil
		}
		if err != nil {
			return err // what was taken is not closed, as it is still the other process's
		}
	}
	defer srv.close()
	if from == nil {
		err := srv.open()
		if srv.stopper.isRequested() {
			return srv.stop() // an error of open is one of giving up
		}
		if err != nil {
			return err
		}
	}
	srv.reportLate()
	stopWatchdog := srv.startWatchdog()
	defer stopWatchdog()
	srv.run(signals)
	if srv.succeeded != nil {
		stopWatchdog() // the other process is watched from now on
		srv.leave(signals)
		return nil
	}
	return srv.stop()
}

// newEngine returns an engine with the limits of a configuration, which never change.
func (srv *server) newEngine(c *config.Config) *wasm.Engine {
	e := wasm.NewEngine(guestLimits(c), func(policy string, level int, text string) {
		levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
		srv.log.Log(context.Background(), levels[min(max(level, 0), len(levels)-1)], "policy says", "policy", policy, "text", text)
	})
	e.TryFirst(srv.sandbox, func(err error) {
		srv.log.Warn("policies are loaded without a trial; only the limits of this process hold", "error", err)
	})
	kind, why := e.Kind()
	srv.log.Info("wasm engine", "kind", kind, "why", why)
	return e
}
