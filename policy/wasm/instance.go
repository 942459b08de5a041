package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/sanitize"
	"switchyard/policy/wasm/meter"
)

// errorBytes is how much of a guest's error is kept: its stack trace may be long.
const errorBytes = 2 << 10

// An instance is a running copy of a guest. It belongs to one goroutine at a time.
//
// The life of an instance, with the fuel that each step may use:
//
//	instantiate   start function, _initialize      LoadFuel
//	prepare       buffer, configure                what is left of LoadFuel
//	              buffer, if bodies are inspected  Fuel
//	call …        classify, inspect, inspect_body  Fuel for each call
//	close         after a fault, when its memory has grown, or with the policy
//
// The bytes of a configuration or body are copied to the guest's memory, at the address that
// its buffer returns. For bodies, buffer is called once with the largest size that is copied,
// and all bodies are copied to that address. If it returns 0 for that size, it is called for
// each body.
type instance struct {
	module api.Module
	memory api.Memory
	linear linearMemory // what holds the bytes of memory; nil if the guest has no memory
	limits Limits
	groups []policy.Group     // that the guest names
	rates  *policy.RateLimits // the policy's

	classify, inspect, inspectBody api.Function // the exports, nil if there is none
	buffer, configure              api.Function
	fuel, depth                    api.Global

	stack [6]uint64 // parameters and results, as many as inspect_body has
	body  uint32    // address for bodies of up to BodyBytes; 0: call buffer for each body

	growth growth
}

// instanceConfig gives every instance the same minimal environment. The garbage collector of
// a guest in stock Go would run during a decision and use its fuel. This variable turns the
// collector off; instead, the instance is replaced when its memory has grown: see replace.go.
var instanceConfig = wazero.NewModuleConfig().WithName("").WithStartFunctions().WithEnv("GOGC", "off")

// instantiate makes an instance and runs its start function and _initialize. After any
// failure it frees everything: this package maps the memory (newMemory), and wazero frees it
// only when closing a module that it has returned. The memory is that of an earlier instance of
// this policy; if it is nil, instantiate makes a new one.
func (p *Policy) instantiate(memory linearMemory) (in *instance, err error) {
	var noMemory error // why the system gave none
	defer func() {
		if err != nil && noMemory != nil {
			err = refuseNow(moreMemory, "this process got no memory for the guest: %w", noMemory)
		}
		if err != nil && memory != nil {
			memory.Free() // wazero does not if a start function traps; a second Free is harmless
		}
	}()
	defer recovered(&err)
	ctx := experimental.WithMemoryAllocator(context.Background(), experimental.MemoryAllocatorFunc(
		func(_, most uint64) experimental.LinearMemory {
			if memory == nil {
				memory, noMemory = newMemory(most)
			}
			return memory
		}))
	m, err := p.runtime.InstantiateModule(ctx, p.compiled, instanceConfig)
	if err != nil {
		return nil, fmt.Errorf("%s", readable(err.Error()))
	}
	in = &instance{
		module:      m,
		memory:      m.ExportedMemory(abi.Memory),
		linear:      memory,
		limits:      p.limits,
		groups:      p.groups,
		rates:       &p.rates,
		classify:    m.ExportedFunction(abi.Classify),
		inspect:     m.ExportedFunction(abi.Inspect),
		inspectBody: m.ExportedFunction(abi.InspectBody),
		buffer:      m.ExportedFunction(abi.Buffer),
		configure:   m.ExportedFunction(abi.Configure),
		fuel:        m.ExportedGlobal(meter.FuelExport),
		depth:       m.ExportedGlobal(meter.DepthExport),
	}
	if initialize := m.ExportedFunction(abi.Initialize); initialize != nil {
		in.budget(in.left())
		if err := in.call(initialize); err != nil {
			in.close()
			return nil, fmt.Errorf("%s: %w", abi.Initialize, err)
		}
	}
	return in, nil
}

// prepare configures the instance and gets the address for bodies. Later calls have the
// fuel of a decision.
func (in *instance) prepare(p *Policy) error {
	in.budget(in.left())
	if err := in.callConfigure(p.config); err != nil {
		return err
	}
	in.budget(p.limits.Fuel)
	if in.inspectBody != nil {
		ptr, err := in.callBuffer(p.limits.BodyBytes)
		if err != nil {
			return badBuffer(err)
		}
		in.body = ptr
	}
	in.beginGrowth()
	return nil
}

// callConfigure passes the configuration to the guest's configure.
func (in *instance) callConfigure(config []byte) error {
	if in.configure == nil {
		if bytes.Equal(config, []byte("{}")) {
			return nil
		}
		return refuse("remove the policy's configuration, or use a policy that takes one",
			"there is a configuration, but the guest exports no %s", abi.Configure)
	}
	ptr, err := in.callBuffer(len(config))
	if err != nil {
		return badBuffer(err)
	}
	if ptr == 0 {
		return refuse("shorten the configuration, or build the guest with a larger buffer",
			"the guest has no room for %d bytes of configuration", len(config))
	}
	in.memory.Write(ptr, config)
	in.budget(in.left())
	in.stack[0], in.stack[1] = uint64(ptr), uint64(len(config))
	if err := in.call(in.configure); err != nil {
		return refuse("correct the guest's configure, or the configuration that it fails on", "%s: %w", abi.Configure, err)
	}
	if code := int32(in.stack[0]); code != 0 {
		return fmt.Errorf("%s refused the configuration with %d", abi.Configure, code)
	}
	return nil
}

// badBuffer adds the remedy to an error of the guest's buffer function.
func badBuffer(err error) error {
	return refuse("return from buffer the address of a static buffer of at least that size, or 0 if there is none", "%s: %w", abi.Buffer, err)
}

// callBuffer asks the guest for a buffer of n bytes. It returns the buffer's address, which
// lies in the guest's memory, or 0 if the guest has no buffer of that size.
func (in *instance) callBuffer(n int) (uint32, error) {
	in.stack[0] = uint64(uint32(n))
	if err := in.call(in.buffer); err != nil {
		return 0, err
	}
	ptr := uint32(in.stack[0])
	if ptr != 0 && uint64(ptr)+uint64(n) > uint64(in.memory.Size()) {
		return 0, &policy.Fault{Kind: policy.FaultABI, Err: fmt.Errorf(
			"%s(%d) returned %#x, which is not that many bytes of its %d bytes of memory", abi.Buffer, n, ptr, in.memory.Size())}
	}
	return ptr, nil
}

func (in *instance) callClassify(service, command uint16) (policy.Verdict, error) {
	in.stack[0], in.stack[1] = uint64(service), uint64(command)
	if err := in.call(in.classify); err != nil {
		return 0, err
	}
	return in.verdict()
}

func (in *instance) callInspect(q *policy.Question) (policy.Verdict, error) {
	in.pushQuestion(0, q)
	if err := in.call(in.inspect); err != nil {
		return 0, err
	}
	return in.verdict()
}

// callInspectBody passes address and length of the body first, and then what callInspect passes.
func (in *instance) callInspectBody(q *policy.Question) (policy.Verdict, error) {
	ptr, err := in.copyBody(q.Body)
	if err != nil {
		return 0, err
	}
	in.stack[0], in.stack[1] = uint64(ptr), uint64(len(q.Body))
	in.pushQuestion(2, q)
	if err := in.call(in.inspectBody); err != nil {
		return 0, err
	}
	return in.verdict()
}

// copyBody copies a body to the guest's buffer and returns its address.
func (in *instance) copyBody(body []byte) (ptr uint32, err error) {
	if len(body) > in.limits.BodyBytes {
		return 0, &policy.Fault{Kind: policy.FaultBody, ByLimit: true, Err: fmt.Errorf(
			"the body has %d bytes, at most %d are inspected", len(body), in.limits.BodyBytes)}
	}
	if ptr = in.body; ptr == 0 {
		if ptr, err = in.callBuffer(len(body)); err != nil {
			return 0, err
		}
	}
	if ptr == 0 {
		return 0, &policy.Fault{Kind: policy.FaultBody, Err: fmt.Errorf("the guest has no room for a body of %d bytes", len(body))}
	}
	if !in.memory.Write(ptr, body) {
		return 0, &policy.Fault{Kind: policy.FaultABI, Err: fmt.Errorf("no %d bytes of memory at %#x", len(body), ptr)}
	}
	return ptr, nil
}

// pushQuestion puts the last four parameters of an inspection on the stack. The 16 bytes of
// the header become two numbers in network order, so that the first byte on the wire is the
// highest of the first number:
//
//	header     00 00 00 10  00 01  00 07 | 02 01  00 00  00 00  00 00
//	           length       version flag   sid    cid    seq    reserved
//	stack[at]  0x0000001000010007   stack[at+1]  0x0201…
func (in *instance) pushQuestion(at int, q *policy.Question) {
	s := in.stack[at : at+4]
	s[0] = binary.BigEndian.Uint64(q.Header)
	s[1] = binary.BigEndian.Uint64(q.Header[8:])
	s[2] = q.Session
	s[3] = q.Attributes | in.groupBits(q.Groups)
}

// verdict checks the verdict that a call has left on the stack, and returns it.
func (in *instance) verdict() (policy.Verdict, error) {
	in.noteGrowth()
	v, err := policy.GuestVerdict(in.stack[0], in.groups)
	if err != nil {
		return 0, &policy.Fault{Kind: policy.FaultABI, Err: err}
	}
	if v.Limit() != 0 {
		return v, in.knowsLimit(v)
	}
	return v, nil
}

// call calls f with the parameters on the stack. It needs no context that ends, as metering
// ends the call. The error is a *policy.Fault.
func (in *instance) call(f api.Function) error {
	if err := f.CallWithStack(context.Background(), in.stack[:]); err != nil {
		return in.fault(err)
	}
	return nil
}

// stackOverflow is in the text of wazero's error about one, which has no type outside of wazero.
const stackOverflow = "stack overflow"

// fault finds out why a call failed. All failures of metering end in the same trap, so the
// counters tell which one it was: a negative one ran out. wazero also reports stack overflows,
// but the limit of depth normally takes effect first.
func (in *instance) fault(err error) *policy.Fault {
	text := withoutWrapper(readable(err.Error()))
	var exit *sys.ExitError
	switch {
	case int64(in.fuel.Get()) < 0:
		// The guest has used this thread for long; let other goroutines run.
		runtime.Gosched()
		return &policy.Fault{Kind: policy.FaultFuel, Err: fmt.Errorf("ran longer than its fuel: %s", withoutTrap(text))}
	case int32(in.depth.Get()) < 0, strings.Contains(text, stackOverflow):
		return &policy.Fault{Kind: policy.FaultDepth, Err: fmt.Errorf("calls nested deeper than %d: %s", in.limits.Depth, withoutTrap(text))}
	case errors.As(err, &exit):
		return &policy.Fault{Kind: policy.FaultTrap, Err: fmt.Errorf("the guest ended itself by proc_exit(%d)", exit.ExitCode())}
	}
	return &policy.Fault{Kind: policy.FaultTrap, Err: errors.New(text)}
}

// withoutTrap removes the trap by which metering ends a guest: it is not the guest's.
func withoutTrap(text string) string { return strings.TrimPrefix(text, "wasm error: unreachable\n") }

// withoutWrapper removes the outermost function of a trace. It is the wrapper that metering
// added; it has no name, and the guest's author does not know it.
func withoutWrapper(text string) string {
	i := strings.LastIndex(text, "\n\t")
	if i < 0 || !strings.HasPrefix(text[i:], "\n\t.$") || strings.HasSuffix(text, "…") || strings.HasSuffix(text[:i], ":") {
		return text
	}
	return text[:i]
}

// left returns the fuel that the last call left. The calls that make an instance share one
// budget, which starts as LoadFuel: the start function, _initialize, buffer and configure.
func (in *instance) left() uint64 { return uint64(max(0, int64(in.fuel.Get()))) }

// budget sets how much fuel each call has from now on, in units of package meter. While an
// instance is made, the budget is set before each call to what is left, so that the calls share
// one budget.
func (in *instance) budget(fuel uint64) {
	in.module.ExportedGlobal(meter.BudgetExport).(api.MutableGlobal).Set(fuel)
}

// close ends the instance and frees its memory, unless reuse has taken it.
func (in *instance) close() {
	_ = in.module.Close(context.Background())
}

// readable truncates a text that the guest influenced, and makes its lines harmless.
func readable(text string) string { return sanitize.Lines(shorten(text, errorBytes)) }
