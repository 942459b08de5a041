package wasm

import (
	"context"
	encoding "encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// wazero's compiler has had faults that gave wrong verdicts without a trap (package meter
// avoids one of them). Wrong verdicts are not visible from outside, so each compiled module
// is compared with the interpreter before it is put in force. Comparing a sample does not
// prove that the compiler is correct, but finds its faults on the ordinary paths of this
// module.
//
// The questions come in this order, until the time is up:
//
//	every command of the protocol     classify(service, command)
//	ids around the constants          0x0900 in the code: 0x08ff, 0x0900 and 0x0901, each as
//	                                  command, as service, and as half of a pair
//	random PDUs                       inspect or inspect_body, for ids that ask for it

// How much the gate "engines" compares. It ends early when the interpreter has used
// compareTime or a share of the time for loading, so that a slow guest loads too.
const (
	compareIDs     = 4096 // around the module's constants, chosen at random if there are more
	comparePDUs    = 2000 // of random headers and bodies
	compareBody    = 300  // bytes of the longest random body
	compareTime    = time.Second
	compareShare   = 4
	compareRestart = 8 // fresh instances after faults, which use much fuel
	// A reading of the clock costs as much as a question that uses little fuel, so it comes only after
	// several of those. It also comes after each fault, as fresh instances may use all of LoadFuel.
	compareTimed  = 8
	compareLittle = 2000 // units of fuel

	agreedModules = 256 // that an engine remembers to have compared
)

// An agreed is the set of modules, with their configurations, on which the engines agreed,
// here or in a trial. The comparison is deterministic, so it need not be repeated.
type agreed struct {
	mu   sync.Mutex
	sums map[sum]bool
}

func (a *agreed) has(s sum) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sums[s]
}

func (a *agreed) add(s sum) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sums == nil || len(a.sums) >= agreedModules {
		a.sums = make(map[sum]bool)
	}
	a.sums[s] = true
}

// engines refuses a module for which wazero's compiler and its interpreter give different
// answers. They are independent of each other, so where both agree, a fault of the compiler
// would have to be one of the interpreter as well. Fuel and depth are counted in the guest's
// own code, so equal fuel shows that both took the same path.
func (l *loader) engines(ctx context.Context) (err error) {
	if l.engine.kind != Compiler {
		return nil
	}
	s := sumOf(l.module, l.config)
	if l.engine.agreed.has(s) {
		return nil
	}
	if _, err := l.compare(ctx, l.metered.Module, l.metered.Module); err != nil {
		return err
	}
	l.engine.agreed.add(s)
	return nil
}

// compare compares what the compiler makes of one module with what the interpreter makes of
// another, which is the same but in tests.
func (l *loader) compare(ctx context.Context, compiled, interpreted []byte) (c *comparison, err error) {
	c = &comparison{random: rand.New(rand.NewPCG(1, 2))}
	defer func() { err = errors.Join(err, c.close()) }()
	if c.compiled, err = l.replica(ctx, l.engine.config, compiled); err != nil {
		return c, err
	}
	if c.interpreted, err = l.replica(ctx, l.engine.runtimeConfig(Interpreter), interpreted); err != nil {
		return c, err
	}
	until := l.used() + min(compareTime, l.engine.limits.LoadTime/compareShare)
	c.expired = func() bool {
		timed := c.asked%compareTimed == 0 || int64(l.engine.limits.Fuel)-c.left > compareLittle || c.compiled.in == nil
		return timed && l.used() >= until || ctx.Err() != nil
	}
	if err = c.restart(); err == nil {
		err = c.run(l.metered.Constants)
	}
	if errors.Is(err, errTooDeep) {
		err = nil
	}
	return c, err
}

// errTooDeep is the error of a start that nests more calls than the interpreter can, whose stack holds
// fewer frames than the largest wasm.depth allows. It ends the comparison without a result.
var errTooDeep = errors.New("the start nests too many calls for the interpreter")

// A comparison asks both engines the same questions in the same order, so that instances
// that keep state have the same state. Only one goroutine uses it. Its random numbers have a
// fixed seed, so that every load of a module asks the same questions.
type comparison struct {
	compiled, interpreted *replica
	random                *rand.Rand
	expired               func() bool // the time is used up
	restarts              int
	inspected             []pdu.Command    // for which classify asks for an inspection
	verdicts              []policy.Verdict // of classify for these
	asked                 int              // questions so far
	left                  int64            // fuel after the last one
}

func (c *comparison) close() error {
	var errs []error
	for _, t := range []*replica{c.compiled, c.interpreted} {
		if t != nil {
			errs = append(errs, t.policy.Close())
		}
	}
	return errors.Join(errs...)
}

// restart makes fresh instances. They have to begin with the same state, so both or none
// must start. If the system has no memory for one of them, that is not a fault of an engine.
func (c *comparison) restart() error {
	one, two := c.compiled.start(), c.interpreted.start()
	for _, err := range []error{one, two} {
		if e, ok := errors.AsType[*GateError](err); ok && e.temporary {
			return err
		}
	}
	if one == nil && two != nil && strings.Contains(two.Error(), stackOverflow) {
		return errTooDeep
	}
	if (one == nil) != (two == nil) {
		return disagree("starting", started(one), started(two))
	}
	return one
}

func started(err error) string {
	if err == nil {
		return "starts"
	}
	return err.Error()
}

// A callResult is what a call in one engine returned.
type callResult struct {
	verdict policy.Verdict
	fuel    int64
	err     error
}

// kind returns the kind of fault, or "".
func (a callResult) kind() policy.FaultKind {
	if fault, ok := errors.AsType[*policy.Fault](a.err); ok {
		return fault.Kind
	}
	return ""
}

func (a callResult) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%v with %d units of fuel left", a.verdict, a.fuel)
}

func disagree(question, compiled, interpreted string) error {
	return refuse("report it with the module; until the compiler is corrected, build the policy with another optimisation level or toolchain",
		"the compiler and the interpreter of WebAssembly disagree on %s: compiled %s, interpreted %s", question, compiled, interpreted)
}

// ask asks both engines, and returns an error if they disagree or cannot start. It returns
// the verdict and whether there is one. There is none after a fault on both sides, or when
// compareRestart pairs of instances are used up.
//
//	compiled               interpreted            result
//	drop, 270,100 left     drop, 270,100 left     agreed
//	drop, 270,100 left     drop, 270,098 left     disagreed: different paths
//	trap, 200 left         trap, 200 left         agreed; both get fresh instances
//	too deep               anything               not compared; restart does the same
func (c *comparison) ask(question func() string, call func(*instance) (policy.Verdict, error)) (policy.Verdict, bool, error) {
	if c.compiled.in == nil {
		if c.restarts++; c.restarts > compareRestart {
			return 0, false, nil
		}
		if err := c.restart(); err != nil {
			return 0, false, err
		}
	}
	c.asked++
	var a [2]callResult
	for i, t := range []*replica{c.compiled, c.interpreted} {
		v, err := call(t.in)
		a[i] = callResult{v, int64(t.in.fuel.Get()), err}
	}
	compiled, interpreted := a[0], a[1]
	c.left = compiled.fuel
	switch {
	case compiled.kind() == policy.FaultDepth || interpreted.kind() == policy.FaultDepth:
		// Their stacks hold different numbers of frames.
	case compiled.kind() != interpreted.kind(), compiled.verdict != interpreted.verdict, compiled.fuel != interpreted.fuel:
		return 0, false, disagree(question(), compiled.String(), interpreted.String())
	}
	if compiled.err == nil && interpreted.err == nil {
		return compiled.verdict, true, nil
	}
	if compiled.kind() != policy.FaultBody {
		for _, t := range []*replica{c.compiled, c.interpreted} {
			t.in.close()
			t.in = nil
		}
	}
	return 0, false, nil
}

// run compares commands, then ids, then PDUs.
func (c *comparison) run(constants []int64) error {
	for _, known := range pdu.Commands {
		if err := c.classify(known.Service, known.ID); err != nil || c.expired() {
			return err
		}
	}
	for _, id := range c.ids(constants) {
		if err := c.classify(id.Service, id.ID); err != nil || c.expired() {
			return err
		}
	}
	for range comparePDUs {
		if err := c.inspect(); err != nil || c.expired() {
			return err
		}
	}
	return nil
}

// classify compares one classification, and remembers ids that need an inspection for later.
func (c *comparison) classify(s pdu.ServiceID, command pdu.CommandID) error {
	v, ok, err := c.ask(func() string { return fmt.Sprintf("%s(%v, %v)", abi.Classify, s, command) },
		func(in *instance) (policy.Verdict, error) { return in.callClassify(uint16(s), uint16(command)) })
	if ok && v.Inspected() && c.compiled.in.canInspect(v) == nil {
		c.inspected = append(c.inspected, pdu.Command{Service: s, ID: command})
		c.verdicts = append(c.verdicts, v)
	}
	return err
}

// ids returns the pairs of ids around a module's constants: each as a command of some
// service, as a service, and as both ids in one number.
func (c *comparison) ids(constants []int64) []pdu.Command {
	values := map[int64]bool{}
	for _, v := range constants {
		if v >= -1 && v <= 1<<32 {
			values[v-1], values[v], values[v+1] = true, true, true
		}
	}
	sorted := slices.Sorted(maps.Keys(values))
	c.random.Shuffle(len(sorted), func(i, j int) { sorted[i], sorted[j] = sorted[j], sorted[i] })
	var list []pdu.Command
	for _, v := range sorted {
		if len(list) >= compareIDs {
			break
		}
		low, high := uint16(v), uint16(v>>16)
		known := pdu.Commands[c.random.IntN(len(pdu.Commands))]
		list = append(list, pdu.Command{Service: known.Service, ID: pdu.CommandID(low)},
			pdu.Command{Service: pdu.ServiceID(low>>8) & 0xf, ID: pdu.CommandID(low)},
			pdu.Command{Service: pdu.ServiceID(low), ID: known.ID})
		if high != 0 {
			list = append(list, pdu.Command{Service: pdu.ServiceID(high), ID: pdu.CommandID(low)},
				pdu.Command{Service: pdu.ServiceID(low), ID: pdu.CommandID(high)})
		}
	}
	return list
}

// inspect compares the inspection of one random PDU, of ids for which classify asks for it.
func (c *comparison) inspect() error {
	if len(c.inspected) == 0 {
		return nil
	}
	i := c.random.IntN(len(c.inspected))
	ids, v := c.inspected[i], c.verdicts[i]
	whole := pdu.Append(nil, ids.Service, ids.ID, uint16(c.random.Uint32()), c.body())
	if c.random.IntN(4) == 0 { // a header of which only the length is right
		for at := 4; at < pdu.HeaderLen; at++ {
			whole[at] = byte(c.random.Uint32())
		}
	}
	q := policy.Question{Header: whole[:pdu.HeaderLen], Body: whole[pdu.HeaderLen:],
		Session: c.number(), Attributes: uint64(c.random.IntN(2)), Groups: c.groups()}
	_, _, err := c.ask(func() string { return fmt.Sprintf("the inspection of the PDU %x of session %d", whole, q.Session) },
		func(in *instance) (policy.Verdict, error) { return in.inspectPDU(v, &q) })
	return err
}

// groups returns some of the groups that the guest names.
func (c *comparison) groups() (some []policy.Group) {
	for _, g := range c.compiled.policy.groups {
		if c.random.IntN(2) == 0 {
			some = append(some, g)
		}
	}
	return some
}

// number returns a random number, small ones and those near a power of two more often.
func (c *comparison) number() uint64 {
	v := c.random.Uint64() >> c.random.IntN(64)
	if c.random.IntN(4) == 0 {
		v = 1<<c.random.IntN(64) + v%3 - 1
	}
	return v
}

// body returns a random body: fields of protobuf, sometimes cut off, or any bytes.
func (c *comparison) body() []byte {
	var b []byte
	if c.random.IntN(4) > 0 {
		for range c.random.IntN(12) {
			field := uint64(1 + c.random.IntN(20))
			if c.random.IntN(3) > 0 {
				b = encoding.AppendUvarint(encoding.AppendUvarint(b, field<<3), c.number())
				continue
			}
			text := c.bytes(c.random.IntN(20))
			b = append(encoding.AppendUvarint(encoding.AppendUvarint(b, field<<3|2), uint64(len(text))), text...)
		}
		return b[:len(b)-c.random.IntN(1+min(3, len(b)))]
	}
	return c.bytes(c.random.IntN(compareBody))
}

// bytes returns n random bytes; half of them are printable.
func (c *comparison) bytes(n int) []byte {
	b := make([]byte, n)
	var any, text uint64 // eight random bytes, and which of them become printable
	for i := range b {
		if i%8 == 0 {
			any, text = c.random.Uint64(), c.random.Uint64()
		}
		if b[i] = byte(any); text&1 == 0 {
			b[i] = ' ' + b[i]%95
		}
		any, text = any>>8, text>>1
	}
	return b
}
