package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"switchyard/policy"
	"switchyard/policy/wasm"
	"switchyard/proxy"
	"switchyard/proxy/admin"
	"switchyard/proxy/config"
	"switchyard/proxy/config/watch"
)

// interruptTime is the longest that a stop by SIGINT takes: somebody is waiting.
const interruptTime = 5 * time.Second

// A yard is everything that serve builds. One goroutine owns it, the one of serve;
// others only send it signals and names of changed files.
type yard struct {
	options    *options
	config     *config.Config
	log        *slog.Logger
	level      *slog.LevelVar
	engines    []*wasm.Engine // the last one runs what is loaded from now on
	tenants    map[string]*served
	acceptors  []*proxy.Acceptor
	admin      *admin.Server     // nil if there is none
	watcher    *watch.Watcher    // nil if changes are not watched for
	changed    chan struct{}     // sent to by the watcher, holds one, never closed
	complaints map[string]string // what was logged last of what is refused, by what it is about
}

// served is one tenant with the policy in force.
type served struct {
	tenant *proxy.Tenant
	judge  *policy.Judge
	policy candidate
	engine *wasm.Engine // that runs it
	audit  auditing
}

// serve serves until told to stop, and drains.
func serve(o *options, stderr io.Writer) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)

	c, why, err := o.load()
	if err != nil {
		return err
	}
	y := &yard{options: o, config: c, level: new(slog.LevelVar), tenants: make(map[string]*served),
		changed: make(chan struct{}, 1), complaints: make(map[string]string)}
	y.log = newLogger(c.Log, y.level, stderr)
	y.log.Info("configuration", "file", orNone(c.Path), "why", why)
	defer y.close()
	if err := y.open(); err != nil {
		return err
	}
	y.log.Info("serving")
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGHUP {
				y.reload(true)
				continue
			}
			return y.stop(s, signals)
		case <-y.changed:
			y.reload(false)
		}
	}
}

func orNone(path string) string {
	if path == "" {
		return "none"
	}
	return path
}

// open builds everything from the leaves up. All policies and all addresses are
// tried before the error, which is of all of them.
func (y *yard) open() error {
	y.engines = append(y.engines, y.newEngine())
	y.watch(false) // before the files are read, so that no change falls in between
	var faults []error
	for _, t := range y.config.Tenants {
		if err := y.openTenant(t); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	for _, l := range y.config.Listeners {
		if err := y.listen(l); err != nil {
			faults = append(faults, err)
		}
	}
	if err := y.openAdmin(); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

func (y *yard) engine() *wasm.Engine { return y.engines[len(y.engines)-1] }

func (y *yard) newEngine() *wasm.Engine {
	e := wasm.NewEngine(guestLimits(y.config), func(policy string, level int, text string) {
		levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
		y.log.Log(context.Background(), levels[min(max(level, 0), len(levels)-1)], "policy says", "policy", policy, "text", text)
	})
	kind, why := e.Kind()
	y.log.Info("wasm engine", "kind", kind, "why", why)
	return e
}

func (y *yard) openTenant(t config.Tenant) error {
	c, err := findPolicy(y.config, t)
	if err != nil {
		return err
	}
	g, err := loadPolicy(y.engine(), c)
	if err != nil {
		return err
	}
	judge := policy.NewJudge(g)
	s := &served{
		tenant: proxy.NewTenant(t.Name, judge, limitsOf(y.config, t), y.log),
		judge:  judge, policy: c, engine: y.engine(),
	}
	if folder := y.faultFolder(); folder != "" {
		s.tenant.KeepFaults(y.faultKeeper(folder))
	}
	y.tenants[t.Name] = s
	y.log.Info("policy in force", "tenant", t.Name, "policy", c.Name, "sha256", c.SHA256, "routes", summary(g))
	if _, err := y.setAudit(t, s); err != nil {
		return fmt.Errorf("audit of tenant %s: %w", t.Name, err)
	}
	return nil
}

func (y *yard) listen(l config.Listener) error {
	listener, err := net.Listen("tcp", l.Address)
	if err != nil {
		return unavailableError{fmt.Errorf("listen on %s for tenant %s: %w; free the address, or name another by --listen or in the configuration", l.Address, l.Tenant, err)}
	}
	a := y.tenants[l.Tenant].tenant.Accept(listener)
	y.acceptors = append(y.acceptors, a)
	y.log.Info("listening", "address", a.Addr().String(), "tenant", l.Tenant)
	return nil
}

// stop drains: nobody is accepted any more, what has arrived is routed, what is due
// is written. A second signal ends it at once.
func (y *yard) stop(s os.Signal, signals <-chan os.Signal) error {
	limit := time.Duration(y.config.Drain.Timeout)
	if s == syscall.SIGINT {
		limit = min(limit, interruptTime)
	}
	y.log.Info("stopping", "signal", s.String(), "drain", limit.String())
	y.stopAccepting()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	var listening sync.WaitGroup
	defer listening.Wait()
	defer cancel()
	listening.Go(func() {
		for {
			select {
			case s := <-signals:
				if s != syscall.SIGHUP {
					cancel()
				}
			case <-ctx.Done():
				return
			}
		}
	})
	var draining sync.WaitGroup
	var forced atomic.Bool
	for _, s := range y.tenants {
		draining.Go(func() {
			if s.tenant.Drain(ctx) != nil {
				forced.Store(true)
			}
		})
	}
	if draining.Wait(); forced.Load() {
		return errForced
	}
	return nil
}

func (y *yard) stopAccepting() {
	for _, a := range y.acceptors {
		a.Close()
	}
	y.acceptors = nil
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
	for name, s := range y.tenants {
		s.tenant.Close()
		s.judge.Close()
		y.logCounts(name, s)
		y.endAudit(name, s)
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
