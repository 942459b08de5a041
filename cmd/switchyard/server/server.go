// Package server is the server: it builds everything from the leaves up, reloads it, and stops
// it in reverse. It is the only place where the parts meet.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"switchyard/cmd/switchyard/trust"
	"switchyard/policy"
	"switchyard/policy/provenance"
	"switchyard/policy/wasm"
	"switchyard/proxy"
	"switchyard/proxy/admin"
	"switchyard/proxy/config"
	"switchyard/proxy/config/watch"
)

// signatureTime is how often signatures in force are looked at for their expiry.
const signatureTime = time.Hour

// interruptTime is the longest that a stop by SIGINT takes: somebody is waiting.
const interruptTime = 5 * time.Second

// A yard is everything that serve builds. One goroutine owns it, the one of serve;
// others only send it signals and names of changed files.
type yard struct {
	load       Loader
	config     *config.Config
	log        *slog.Logger
	level      *slog.LevelVar
	engines    []*wasm.Engine // the last one runs what is loaded from now on
	tenants    map[string]*served
	doors      map[string]*door   // by the name of the listener
	leaving    sync.WaitGroup     // tenants that were removed and drain
	forced     context.Context    // done when nothing is waited for any more
	force      context.CancelFunc // makes it so
	desk       *desk              // what operators see and ask
	admin      *admin.Server      // nil if there is none
	watcher    *watch.Watcher     // nil if changes are not watched for
	ledger     *provenance.Ledger // of signed versions that were in force
	checker    *trust.Checker     // of policy files, by the configuration in force
	changed    chan struct{}      // sent to by the watcher, holds one, never closed
	complaints map[string]string  // what was logged last of what is refused, by what it is about
	supervisor *supervisor        // told how it goes

	// serving is what tenants holds, for other goroutines; replaced whole.
	serving atomic.Pointer[map[string]*proxy.Tenant]
}

// served is one tenant with the policy in force.
type served struct {
	tenant *proxy.Tenant
	judge  *policy.Active
	policy candidate
	engine *wasm.Engine // that runs it
	audit  auditing

	loadTime time.Duration // that the policy took to load
}

// ErrForced is the error of a stop that did not wait until everything was written.
var ErrForced = errors.New("stopped before everything was written")

// An UnavailableError is an address that cannot be listened on.
type UnavailableError struct{ error }

// A Loader finds, reads and checks the configuration, and says why it is that file. It is
// called at the start and for each reload.
type Loader func() (c *config.Config, why string, err error)

// Serve serves until it is told to stop, by a signal or by an operator, and drains. env is
// the environment, in which a supervisor announces itself. The log is written to stderr.
func Serve(load Loader, env []string, stderr io.Writer) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)

	c, why, err := load()
	if err != nil {
		return err
	}
	y := &yard{load: load, config: c, desk: newDesk(), level: new(slog.LevelVar), tenants: make(map[string]*served),
		changed: make(chan struct{}, 1), complaints: make(map[string]string)}
	y.forced, y.force = context.WithCancel(context.Background())
	y.publish()
	lines := newSpool(stderr)
	y.log = y.desk.remember(newLogger(c.Log, y.level, lines))
	lines.start(func(lost int) { y.log.Warn("lines of the log were lost, as nobody took them in time", "lines", lost) })
	defer lines.close()
	y.log.Info("configuration", "file", orNone(c.Path), "why", why)
	y.supervisor = newSupervisor(env, y.log)
	defer y.supervisor.close()
	if y.ledger, err = trust.OpenLedger(c); err != nil {
		y.log.Warn("signed versions are remembered by this process alone", "error", err)
	}
	defer y.close()
	if err := y.open(); err != nil {
		return err
	}
	y.log.Info("serving")
	guarded, unguard := context.WithCancel(context.Background())
	var guarding sync.WaitGroup
	guarding.Go(func() { y.supervisor.guard(guarded, y.desk.alive) })
	defer guarding.Wait()
	defer unguard()
	signatures := time.NewTicker(signatureTime)
	defer signatures.Stop()
	for {
		y.warn()
		y.desk.show(y)
		y.supervisor.ready(statusOf(y.complaints))
		select {
		case s := <-signals:
			if s == syscall.SIGHUP {
				y.supervisor.reloading()
				y.reload(true)
				continue
			}
			return y.stop(s, signals)
		case <-signatures.C:
			y.reload(false) // what was not valid yet may be now
		case <-y.changed:
			y.reload(false)
		case answer := <-y.desk.reloads:
			answer <- y.reloadAndTell()
		case <-y.desk.drain:
			return y.stop(syscall.SIGTERM, signals)
		}
	}
}

func orNone(path string) string {
	if path == "" {
		return "none"
	}
	return path
}

// open builds everything from the leaves up.
func (y *yard) open() error {
	y.engines = append(y.engines, y.newEngine(y.config))
	y.watch(false) // before the files are read, so that no change falls in between
	p, err := y.plan(y.config, y.engine())
	if err != nil {
		return err
	}
	p.carryOut()
	for _, t := range y.config.Tenants {
		if _, err := y.setAudit(t, y.tenants[t.Name]); err != nil {
			return fmt.Errorf("audit of tenant %s: %w", t.Name, err)
		}
	}
	return y.openAdmin()
}

func (y *yard) engine() *wasm.Engine { return y.engines[len(y.engines)-1] }

func (y *yard) newEngine(c *config.Config) *wasm.Engine {
	e := wasm.NewEngine(guestLimits(c), func(policy string, level int, text string) {
		levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
		y.log.Log(context.Background(), levels[min(max(level, 0), len(levels)-1)], "policy says", "policy", policy, "text", text)
	})
	kind, why := e.Kind()
	y.log.Info("wasm engine", "kind", kind, "why", why)
	return e
}

// inForce logs and remembers that a tenant's policy decides from now on.
func (y *yard) inForce(tenant string, s *served, message string, more ...any) {
	g := s.judge.Acquire()
	defer g.Release()
	y.desk.inForce(tenant, g, s)
	y.log.Info(message, append([]any{"tenant", tenant, "policy", s.policy.Name, "sha256", s.policy.SHA256, "routes", Summary(g)}, more...)...)
	if text := excess(g); text != "" {
		y.log.Warn("the policy says more than it may; tenant."+tenant+".may_else happens instead", "tenant", tenant, "excess", text)
	}
	y.recordVersion(tenant, s)
}

// recordVersion remembers the signed version that is in force.
func (y *yard) recordVersion(tenant string, s *served) {
	if err := s.policy.proof.Record(y.ledger); err != nil {
		y.log.Warn("the signed version that is in force is remembered by this process alone", "tenant", tenant, "error", err)
	}
}

// publish lets other goroutines see the tenants as they are now.
func (y *yard) publish() {
	serving := make(map[string]*proxy.Tenant, len(y.tenants))
	for name, s := range y.tenants {
		serving[name] = s.tenant
	}
	y.serving.Store(&serving)
}

// stop drains: nobody is accepted any more, what has arrived is routed, what is due
// is written. A second signal ends it at once.
func (y *yard) stop(s os.Signal, signals <-chan os.Signal) error {
	limit := time.Duration(y.config.Drain.Timeout)
	if s == syscall.SIGINT {
		limit = min(limit, interruptTime)
	}
	y.desk.stop()
	y.supervisor.stopping(limit)
	y.log.Info("stopping", "signal", s.String(), "drain", limit.String())
	y.stopAccepting()
	var listening sync.WaitGroup
	defer listening.Wait()
	defer y.force()
	listening.Go(func() {
		for {
			select {
			case s := <-signals:
				if s != syscall.SIGHUP {
					y.force()
				}
			case <-y.forced.Done():
				return
			}
		}
	})
	var draining sync.WaitGroup
	var forced atomic.Bool
	for _, s := range y.tenants {
		draining.Go(func() {
			if drain(y.forced, limit, s.tenant) != nil {
				forced.Store(true)
			}
		})
	}
	draining.Wait()
	y.leaving.Wait()
	if forced.Load() {
		return ErrForced
	}
	return nil
}

// drain drains a tenant until ctx is done, or for no longer than limit.
func drain(ctx context.Context, limit time.Duration, t *proxy.Tenant) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return t.Drain(ctx)
}

func (y *yard) stopAccepting() {
	for _, d := range y.doors {
		d.close(y.log)
	}
	y.doors = nil
}

// close ends everything in reverse.
func (y *yard) close() {
	if y.watcher != nil {
		y.watcher.Close()
	}
	y.stopAccepting()
	if y.admin != nil {
		y.admin.Close()
	}
	y.force()
	y.leaving.Wait()
	for name, s := range y.tenants {
		y.endTenant(name, s)
	}
	for _, e := range y.engines {
		e.Close()
	}
	y.log.Info("stopped")
}

// logCounts says what became of everything: both lines add up.
func (y *yard) logCounts(name string, t *served) {
	c := t.tenant.Hub().Counts()
	y.log.Info("PDUs", "tenant", name, "received", c.Received, "accepted", c.Actions, "dropped", c.Dropped, "made", c.Made)
	y.log.Info("copies", "tenant", name, "due", c.Due, "delivered", c.Delivered, "discarded", c.Discarded)
}
