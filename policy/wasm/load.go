package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm/meter"
)

// A loader takes one module through the gates. It runs in one goroutine; only compile
// starts another one.
//
//	size, magic          without reading the module as a whole
//	metering             package meter reads and rewrites it
//	compile              wazero validates and compiles the rewritten module
//	imports, exports     nothing of the guest has run so far
//	instantiate          the start function and _initialize run
//	configure            buffer and configure run
//	groups               switchyard_groups runs; the first slot has its instance
//	dry-run              classify for known commands; then the survey of rules
//	engines              two replicas are compared, unless a trial did that
//
// The cheap checks come first, and each gate relies on those before it: a module is compiled
// only if its calls are bounded, and runs only if its imports are allowed.
type loader struct {
	engine  *Engine       // shared with other loaders
	limit   time.Duration // of used
	longest time.Duration // elapsed
	module  []byte        // as it was given
	config  []byte
	known   *[]string // the groups that it may name; nil for any
	metered meter.Rewritten
	policy  *Policy
	first   *instance // from instantiate to nameGroups

	computed func() time.Duration // CPU time of the loading goroutine so far
	compiled time.Duration        // CPU time of the compiling goroutine, less the wait for it
}

// gates are the checks in the order in which a module meets them.
var gates = []struct {
	gate Gate
	pass func(*loader, context.Context) error
}{
	{GateSize, (*loader).size},
	{GateMagic, (*loader).magic},
	{GateMetering, (*loader).meter},
	{GateCompile, (*loader).compile},
	{GateImports, (*loader).checkImports},
	{GateExports, (*loader).checkExports},
	{GateInstantiate, (*loader).instantiate},
	{GateConfigure, (*loader).configure},
	{GateGroups, (*loader).nameGroups},
	{GateDryRun, (*loader).dryRun},
	{GateEngines, (*loader).engines},
}

// run takes the module through the gates, and returns how much time that took.
func (l *loader) run(ctx context.Context) (used time.Duration, err error) {
	computed, stop := l.engine.clock()
	defer stop()
	l.computed = computed
	for _, g := range gates {
		if l.engine.entered != nil {
			l.engine.entered(g.gate)
		}
		err := l.pass(ctx, g.pass)
		if err == nil {
			err = l.checkTime(ctx)
		}
		if err != nil {
			return l.used(), atGate(g.gate, l.policy.name, err)
		}
	}
	return l.used(), nil
}

// pass takes the module through one gate. A panic of wazero, which a malformed module may cause,
// becomes a refusal.
func (l *loader) pass(ctx context.Context, pass func(*loader, context.Context) error) (err error) {
	defer recovered(&err)
	return pass(l, ctx)
}

// used returns the CPU time of loading so far. The limit applies to CPU time rather than
// elapsed time, so that a busy machine does not refuse a sound module: with eight busy
// processes for two cores, a load of 5 s of CPU time takes 20 s or more.
func (l *loader) used() time.Duration { return l.computed() + l.compiled }

// checkTime refuses a policy whose loading exceeded its time. Only compile is interrupted:
// at the other gates, fuel bounds what the guest does.
func (l *loader) checkTime(ctx context.Context) error { return l.checkLimits(ctx, l.used()) }

// checkLimits is checkTime for a given CPU time. Three limits apply: a multiple of what the trial
// took, the time for loading, and the elapsed time after which a starved load is given up.
func (l *loader) checkLimits(ctx context.Context, used time.Duration) error {
	limit := l.limit
	switch err := ctx.Err(); {
	case used >= limit && limit < l.engine.limits.LoadTime:
		return refuseNow("load it again", "loading took more than %v of "+loadTimeOf+", more than three times what its trial took", limit)
	case used >= limit:
		return Overdue(limit).gateError("")
	case errors.Is(err, context.DeadlineExceeded):
		return Starved(l.longest, used).gateError("")
	case err != nil:
		return refuseNow("load it again", "loading was given up: %w", err)
	}
	return nil
}

// size refuses modules that are too large to be rewritten and compiled.
func (l *loader) size(context.Context) error {
	if n, most := int64(len(l.module)), l.engine.limits.ModuleBytes; n > most {
		return refuse("strip it (Go: -ldflags='-s -w') or raise wasm.module_size", "the module has %d bytes, at most %d are accepted", n, most)
	}
	return nil
}

func (l *loader) magic(context.Context) error { return checkMagic(l.module) }

// meter rewrites the module so that fuel and depth bound each call. It comes before the compiler,
// which sees no code that was not rewritten.
func (l *loader) meter(context.Context) (err error) {
	limits := l.engine.limits
	l.metered, err = meter.Rewrite(l.module, meter.Limits{Fuel: limits.Fuel, LoadFuel: limits.LoadFuel, Depth: limits.Depth, Pages: limits.MemoryPages})
	if err != nil {
		return refuse(meteringRemedy(err.Error()), "%w", err)
	}
	return nil
}

// A compilation is the result of wazero's compiler.
type compilation struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
	err     error
	took    time.Duration // CPU time
}

// compile compiles the module in a goroutine of its own and waits for it no longer than the
// limits allow. Nothing can interrupt wazero's compiler, and a hostile module keeps it busy
// for minutes. A compilation that was given up runs to its end, and its goroutine then
// discards the result.
func (l *loader) compile(ctx context.Context) error {
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	clocks, made := make(chan func() time.Duration, 1), make(chan compilation)
	before := l.computed()
	l.engine.compiling.Go(func() { l.compileFor(ctx, clocks, made) })
	c, err := l.await(ctx, before, clocks, made)
	l.compiled = c.took - (l.computed() - before)
	if err != nil {
		return err
	}
	l.policy.runtime, l.policy.compiled = c.runtime, c.module
	return c.refusal()
}

// await returns the compilation, or an error if it takes too long or ctx ends. used is the CPU time
// of loading before the compiler started. clocks delivers the function that reads how much the
// compiler has used.
//
// CPU time never passes faster than elapsed time. So await reads the clock when the limit
// can be reached at the earliest, and again after as much time as was left then:
//
//	limit 30 s, and the compiler gets half of a core
//	elapsed   0 s ───────────── 30 s ────── 45 s ── 52 s ─ …  60 s
//	CPU time  0 s               15 s        22 s    26 s      30 s: give up
func (l *loader) await(ctx context.Context, used time.Duration, clocks <-chan func() time.Duration, made <-chan compilation) (compilation, error) {
	const shortest = 5 * time.Millisecond // between two reads
	computed := func() time.Duration { return 0 }
	again := time.NewTimer(l.limit - used)
	defer again.Stop()
	for {
		select {
		case c := <-made:
			return c, nil
		case computed = <-clocks:
		case <-again.C:
		case <-ctx.Done():
		}
		total := used + computed()
		if err := l.checkLimits(ctx, total); err != nil {
			return compilation{}, err
		}
		again.Reset(max(shortest, l.limit-total))
	}
}

// refusal returns why the module was not compiled, or nil if it was.
func (c compilation) refusal() error {
	if c.err == nil {
		return nil
	}
	text := readable(c.err.Error())
	switch {
	case strings.Contains(text, "section memory:"):
		return refuse("let the guest begin with less memory (wasm-ld: --initial-memory, and less static data), or raise wasm.memory", "%s", text)
	case strings.Contains(text, "cannot allocate memory"):
		return refuseNow(moreMemory, "%s", text)
	case strings.Contains(text, "permission denied"):
		return refuseNow("let this process make memory executable, see docs/operations.md", "%s", text)
	}
	return errors.New(text)
}

// compileFor compiles the module and hands over the result, or discards it if ctx ended.
func (l *loader) compileFor(ctx context.Context, clocks chan<- func() time.Duration, made chan<- compilation) {
	computed, stop := l.engine.clock()
	defer stop()
	clocks <- computed
	c := compileModule(l.engine.config, l.metered.Module)
	c.took = computed()
	select {
	case made <- c:
	case <-ctx.Done():
		c.close()
	}
}

// compileModule compiles in a runtime of its own, so that closing it frees everything of the
// module. A panic becomes the error.
func compileModule(config wazero.RuntimeConfig, module []byte) (c compilation) {
	defer recovered(&c.err)
	c.runtime = newRuntime(config)
	c.module, c.err = c.runtime.CompileModule(context.Background(), module)
	return c
}

// close frees what the compilation holds, including its instances.
func (c compilation) close() error {
	ctx := context.Background()
	var err error
	if c.runtime != nil {
		err = c.runtime.Close(ctx)
	}
	if c.module != nil {
		err = errors.Join(err, c.module.Close(ctx))
	}
	return err
}

// checkImports refuses modules that import what the host does not offer. The list is that of meter,
// because wazero lists only functions.
func (l *loader) checkImports(context.Context) error {
	return checkImports(l.policy.compiled, l.metered.Imports)
}

func (l *loader) checkExports(context.Context) error { return checkExports(l.policy.compiled) }

// instantiate makes the first instance, which runs the guest's start function and _initialize.
// The time of this and of configure is what each later instance takes.
func (l *loader) instantiate(ctx context.Context) (err error) {
	p := l.policy
	if err := hostFunctions(ctx, p.runtime, p.compiled, &p.lines); err != nil {
		return err
	}
	before := l.computed()
	l.first, err = p.instantiate(nil)
	p.restart = l.computed() - before
	return err
}

// configure passes the configuration to the guest, which may refuse it. A policy without one gets
// the empty object.
func (l *loader) configure(context.Context) error {
	p := l.policy
	if p.config = bytes.Clone(l.config); len(p.config) == 0 {
		p.config = []byte("{}")
	}
	before := l.computed()
	if err := l.first.prepare(p); err != nil {
		return err
	}
	p.restart += l.computed() - before
	return nil
}

// dryRun asks for the rate limits, and calls classify for every known command and for some unknown
// ones. A policy that traps on a command that its author forgot is refused here; in production, it
// would lose PDUs.
func (l *loader) dryRun(ctx context.Context) error {
	if err := l.findRateLimits(); err != nil {
		return err
	}
	unknown := []pdu.Command{
		{Service: 0, ID: 0},
		{Service: pdu.SID_OTHER, ID: 0},
		{Service: 0, ID: pdu.CID_OTHER_HEARTBEAT},
		{Service: pdu.SID_INTERNAL, ID: 0x08ff},
		{Service: 0xffff, ID: 0xffff},
	}
	for _, commands := range [][]pdu.Command{pdu.KnownCommands(), unknown} {
		for _, c := range commands {
			if err := l.tryClassify(c); err != nil {
				return err
			}
			if err := l.checkTime(ctx); err != nil {
				return err
			}
		}
	}
	l.policy.named = l.survey()
	l.policy.beginGrowth()
	return nil
}

// tryClassify asks for one verdict. The remedy of a refusal depends on how the call failed.
func (l *loader) tryClassify(c pdu.Command) error {
	_, err := l.policy.Classify(c.Service, c.ID)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s(%v, %v): %w", abi.Classify, c.Service, c.ID, err)
	switch fault, ok := errors.AsType[*policy.Fault](err); {
	case !ok:
		return err
	case fault.Kind == policy.FaultFuel:
		return refuse(fmt.Sprintf("classify must answer within %d units of fuel, see wasm.fuel", l.engine.limits.Fuel), "%w", err)
	case fault.Kind == policy.FaultTrap || fault.Kind == policy.FaultDepth:
		return refuse("classify must answer for every command, known or not, and never trap", "%w", err)
	case errors.Is(err, errLacksExport):
		return refuse("export it, or leave that flag out of the verdict", "%w", err)
	}
	return err
}
