// Package wasm runs policies that are compiled to WebAssembly, on wazero: it loads a module
// through a series of gates, meters it, and instantiates, calls and closes it. It makes no
// decisions, reads no files, and knows neither tenants nor the generation in force.
//
// A guest is a WebAssembly module that implements the policy ABI; a Policy is a loaded one
// with its instances.
package wasm

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
)

// Limits bounds what one policy may use. Begin with DefaultLimits.
type Limits struct {
	ModuleBytes int64         // size of the module
	MemoryPages uint32        // linear memory of one instance, in pages of 64 KiB
	Fuel        uint64        // limit for one decision, in units of package meter: 280,000 take at most 10 ms
	LoadFuel    uint64        // limit for all calls that make an instance, together: 2,500,000 take at most 100 ms
	Depth       uint32        // nesting of the guest's calls
	BodyBytes   int           // largest body that is copied for inspect_body
	LoadTime    time.Duration // of Load as a whole: CPU time on Linux, elapsed time elsewhere
}

// DefaultLimits returns the limits that the configuration starts from.
func DefaultLimits() Limits {
	return Limits{
		ModuleBytes: 8 << 20,
		MemoryPages: 256, // 16 MiB
		Fuel:        280_000,
		LoadFuel:    2_500_000,
		Depth:       1000,
		BodyBytes:   64 << 10,
		LoadTime:    30 * time.Second,
	}
}

// ceiling is how many times LoadTime the first load may last on a machine with little free CPU
// time.
const ceiling = 10

// A Logger receives one line that a guest logged: the policy's name, one of the levels in
// policy/abi, and the text, which is truncated and has no control characters. The rate of
// lines is limited. Any number of goroutines may call it at once.
type Logger func(policy string, level int, text string)

// An Engine compiles policies and holds the machine code they share.
//
// Every policy has a wazero runtime of its own, for two reasons: closing the runtime frees
// everything that was ever instantiated in it, the types that a guest declared included,
// and its host functions know which policy calls them. With the shared cache of machine
// code such a runtime costs next to nothing. Equal modules that are loaded at the same time
// are compiled once.
type Engine struct {
	limits Limits
	log    Logger
	kind   string
	why    string
	config wazero.RuntimeConfig
	code   wazero.CompilationCache
	clock  clock // measures loading
	agreed agreed

	sandbox Sandbox // nil: modules are loaded without a trial
	warn    func(error)
	warned  atomic.Value // the text of the last warning
	entered func(Gate)   // called with each gate that a module meets, or nil
	results results

	lanes [len(laneTimes) + 1]lane // lanes for loads in this process

	// compiling counts the goroutines that compile. Load waits for its own unless it gives
	// up. Only tests wait for one that was given up, because it may run for minutes.
	compiling sync.WaitGroup
}

// NewEngine returns an engine that compiles to machine code if this machine
// allows it, and interprets otherwise. A nil log discards what guests log.
func NewEngine(l Limits, log Logger) *Engine {
	if log == nil {
		log = func(string, int, string) {}
	}
	e := &Engine{limits: l, log: log, code: wazero.NewCompilationCache(), clock: threadClock}
	for i := range e.lanes {
		e.lanes[i] = make(lane, 1)
	}
	e.kind, e.why = probe()
	e.use(e.kind)
	return e
}

// use selects the engine by its kind, so that wazero does not select another one.
func (e *Engine) use(kind string) {
	e.kind, e.config = kind, e.runtimeConfig(kind).WithCompilationCache(e.code)
}

// runtimeConfig returns the configuration of a runtime, without a cache.
func (e *Engine) runtimeConfig(kind string) wazero.RuntimeConfig {
	config := wazero.NewRuntimeConfigInterpreter()
	if kind == Compiler {
		config = wazero.NewRuntimeConfigCompiler()
	}
	// No context check on every call: metering stops a guest that runs too long, and the
	// check would cost ten times the call.
	return config.
		WithMemoryLimitPages(e.limits.MemoryPages).
		WithMemoryCapacityFromMax(true).
		WithCloseOnContextDone(false)
}

// Kind returns Compiler or Interpreter, and why it is that.
func (e *Engine) Kind() (kind, why string) { return e.kind, e.why }

// TryFirst makes the engine load a module only after t has tried it. Where t cannot try
// anything, the engine calls warn, not twice in a row with the same error, and loads the module
// without a trial. TryFirst is called before the first Load.
func (e *Engine) TryFirst(t Sandbox, warn func(error)) { e.sandbox, e.warn = t, warn }

// Load takes a module through all gates and returns the policy. config is JSON for the
// guest's configure; nil stands for an empty object. The error is a *GateError. It may take
// up to the time and fuel that the limits allow, on a busy machine ceiling times that time,
// so it belongs off the data path.
//
// The engine remembers what it refused: the same module with the same configuration is
// refused again without being loaded. Equal modules are loaded one after the other.
func (e *Engine) Load(ctx context.Context, name string, module, config []byte) (*Policy, error) {
	s := sumOf(module, config)
	last, known, err := e.results.begin(ctx, s)
	if err != nil {
		return nil, givenUp(name, err)
	}
	defer e.results.end(s)
	if last.refusal != nil {
		return nil, last.refusal.gateError(name)
	}
	t := Trial{Limits: e.limits, Name: name, Module: module, Config: config, Starved: e.results.starvedBefore(s)}
	within := e.limits.LoadTime
	switch {
	case known:
		within = last.within
	case e.sandbox != nil:
		if within, err = e.try(ctx, t); err != nil {
			e.results.refused(s, err)
			return nil, err
		}
		e.results.passed(s, within)
	}
	p, err := e.loadAlone(ctx, e.laneFor(within), t, within)
	if err != nil {
		e.results.refused(s, err)
		return nil, err
	}
	return p, nil
}

// LoadOwn is Load for a module that this program has made itself, of a table, or brings with
// it. There is no need to try such a module.
func (e *Engine) LoadOwn(ctx context.Context, name string, module, config []byte) (*Policy, error) {
	return e.loadAlone(ctx, e.lanes[0], Trial{Limits: e.limits, Name: name, Module: module, Config: config}, e.limits.LoadTime)
}

// A tenant may replace its policy while another's is being loaded, and one that takes 30 s to
// compile must not delay one of a millisecond. Loading all at once would take all cores from the
// data path. So loads are divided into lanes by how long their trials took; each lane loads one
// module at a time:
//
//	lane    time limit here   trial took at most    who
//	0       2.5 s             0.5 s                 most policies, and the server's own
//	1       16 s              5 s                   large ones
//	2       LoadTime          LoadTime              the rest, and those without a trial
//
// So at most three modules are loaded in this process at a time. The Sandbox decides how many
// trials run at a time.

// A lane lets one goroutine at a time load a module in this process. The channel holds one token
// while a goroutine loads.
type lane chan struct{}

// laneTimes are the largest time limits of all lanes except the last. A slow module thus never
// delays modules of a faster lane. The limits correspond to trials of 0.5 s and about 5 s.
var laneTimes = [...]time.Duration{compileRoom(time.Second/2, time.Hour), compileRoom(5*time.Second, time.Hour)}

// laneFor returns the lane for modules with the given time limit.
func (e *Engine) laneFor(limit time.Duration) lane {
	for i, most := range laneTimes {
		if limit <= most {
			return e.lanes[i]
		}
	}
	return e.lanes[len(laneTimes)]
}

// loadAlone calls load while no other goroutine loads in the lane.
func (e *Engine) loadAlone(ctx context.Context, l lane, t Trial, limit time.Duration) (*Policy, error) {
	select {
	case l <- struct{}{}:
		defer func() { <-l }()
	case <-ctx.Done():
		return nil, givenUp(t.Name, ctx.Err())
	}
	p, _, err := e.load(ctx, t, limit)
	return p, err
}

// load takes a module through all gates in this process. It returns how much of its time
// limit it used.
func (e *Engine) load(ctx context.Context, t Trial, limit time.Duration) (p *Policy, used time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.Longest())
	defer cancel()
	l := &loader{
		engine:  e,
		limit:   limit,
		longest: t.Longest(),
		module:  t.Module,
		config:  t.Config,
		policy:  &Policy{name: t.Name, limits: e.limits, clock: e.clock, slots: make([]slot, 2*runtime.GOMAXPROCS(0))},
	}
	l.known, _ = ctx.Value(groupsKey{}).(*[]string)
	l.policy.replacements.since = time.Now()
	for i := range l.policy.slots {
		l.policy.slots[i].policy = l.policy
	}
	l.policy.lines.init(t.Name, e.log)
	used, err = l.run(ctx)
	if err != nil {
		_ = l.policy.Close()
		return nil, used, err
	}
	return l.policy, used, nil
}

// Close frees the shared machine code. Every policy must be closed before.
func (e *Engine) Close() error {
	if err := e.code.Close(context.Background()); err != nil {
		return fmt.Errorf("close the code cache: %w", err)
	}
	return nil
}
