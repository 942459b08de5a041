package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm/meter"
)

// A loader takes one module through the gates.
type loader struct {
	engine  *Engine
	module  []byte // as it was given
	config  []byte
	metered []byte // as it is compiled
	imports []imported
	policy  *Policy
	first   *instance // between instantiate and configure
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
	{GateDryRun, (*loader).dryRun},
}

func (l *loader) run(ctx context.Context) error {
	for _, g := range gates {
		err := l.through(ctx, g.pass)
		if err == nil {
			err = l.late(ctx)
		}
		if err != nil {
			return atGate(g.gate, l.policy.name, err)
		}
	}
	return nil
}

func (l *loader) through(ctx context.Context, pass func(*loader, context.Context) error) (err error) {
	defer recovered(&err)
	return pass(l, ctx)
}

// late refuses a policy whose loading ran out of time. No gate but compile is
// interrupted: the fuel bounds what the guest does.
func (l *loader) late(ctx context.Context) error {
	switch err := ctx.Err(); {
	case errors.Is(err, context.DeadlineExceeded):
		return refuse("make the module or its largest function smaller, or raise wasm.load_time", "loading took longer than %v", l.engine.limits.LoadTime)
	case err != nil:
		return refuse("load it again", "loading was given up: %w", err)
	}
	return nil
}

func (l *loader) size(context.Context) error {
	if n, most := int64(len(l.module)), l.engine.limits.ModuleBytes; n > most {
		return refuse("strip it (Go: -ldflags='-s -w') or raise wasm.module_size", "the module has %d bytes, at most %d are accepted", n, most)
	}
	return nil
}

func (l *loader) magic(context.Context) error { return checkMagic(l.module) }

func (l *loader) meter(context.Context) (err error) {
	limits := l.engine.limits
	l.metered, err = meter.Rewrite(l.module, meter.Limits{Fuel: limits.Fuel, LoadFuel: limits.LoadFuel, Depth: limits.Depth})
	return err
}

// A compilation is what became of a module in wazero's compiler.
type compilation struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
	err     error
}

// compile waits for the compiler no longer than it may: nothing interrupts
// wazero's, and a module made for it keeps it busy for minutes. Given up, it ends
// by itself some time, and what it made is thrown away.
func (l *loader) compile(ctx context.Context) error {
	made := make(chan compilation) // sent once, by compileFor, unless ctx ends
	go l.compileFor(ctx, made)
	select {
	case <-ctx.Done():
		return l.late(ctx)
	case c := <-made:
		l.policy.runtime, l.policy.compiled = c.runtime, c.module
		return c.refusal()
	}
}

// refusal says why the module was not compiled, if it was not.
func (c compilation) refusal() error {
	if c.err == nil {
		return nil
	}
	text := readable(c.err.Error())
	if strings.Contains(text, "section memory:") {
		return refuse("let the guest begin with less memory (wasm-ld: --initial-memory, and less static data), or raise wasm.memory", "%s", text)
	}
	return errors.New(text)
}

func (l *loader) compileFor(ctx context.Context, made chan<- compilation) {
	c := compileModule(l.engine.config, l.metered)
	select {
	case made <- c:
	case <-ctx.Done():
		c.close()
	}
}

func compileModule(config wazero.RuntimeConfig, module []byte) (c compilation) {
	defer recovered(&c.err)
	c.runtime = wazero.NewRuntimeWithConfig(context.Background(), config)
	c.module, c.err = c.runtime.CompileModule(context.Background(), module)
	return c
}

// close frees what the compilation holds, instances included.
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

func (l *loader) checkImports(ctx context.Context) (err error) {
	if l.imports, err = importsOf(l.module); err != nil {
		return err
	}
	return checkImports(l.policy.compiled, l.imports)
}

func (l *loader) checkExports(context.Context) error { return checkExports(l.policy.compiled) }

func (l *loader) instantiate(ctx context.Context) (err error) {
	p := l.policy
	if err := hostFunctions(ctx, p.runtime, l.imports, &p.lines); err != nil {
		return err
	}
	l.first, err = p.instantiate()
	return err
}

func (l *loader) configure(context.Context) error {
	p := l.policy
	if p.config = bytes.Clone(l.config); len(p.config) == 0 {
		p.config = []byte("{}")
	}
	if err := l.first.prepare(p); err != nil {
		return err
	}
	p.slots[0].put(l.first)
	return nil
}

// dryRun asks for the verdict of every command there is and of some that are
// not.
func (l *loader) dryRun(ctx context.Context) error {
	unknown := []pdu.Command{
		{Service: 0, ID: 0},
		{Service: pdu.SID_OTHER, ID: 0},
		{Service: 0, ID: pdu.CID_OTHER_HEARTBEAT},
		{Service: pdu.SID_INTERNAL, ID: 0x08ff},
		{Service: 0xffff, ID: 0xffff},
	}
	for _, commands := range [][]pdu.Command{pdu.Commands, unknown} {
		for _, c := range commands {
			if err := l.ask(c); err != nil {
				return err
			}
			if err := l.late(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *loader) ask(c pdu.Command) error {
	_, err := l.policy.Classify(c.Service, c.ID)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s(%v, %v): %w", abi.Classify, c.Service, c.ID, err)
	var fault *policy.Fault
	switch {
	case !errors.As(err, &fault):
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
