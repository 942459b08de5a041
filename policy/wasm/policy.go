package wasm

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// A Policy is a loaded module with its configuration. It implements policy.Policy. A fixed
// number of slots hold its instances, so that its memory is bounded however many goroutines
// call it: two for each core, each with up to Limits.MemoryPages of memory.
//
// Any number of goroutines may call the methods except Close. The caller of Close must
// ensure that no other method runs meanwhile or afterwards (package policy counts
// references).
type Policy struct {
	// Static after Load.
	name     string
	limits   Limits
	config   []byte
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	named    policy.Named
	groups   []policy.Group // that the guest names, by its numbers
	rates    policy.RateLimits
	clock    clock // measures making an instance

	restart time.Duration // see RestartTime

	lines        guestLog
	slots        []slot
	replacements replacements
}

var (
	_ policy.Reserver  = (*Policy)(nil)
	_ policy.Restarter = (*Policy)(nil)
	_ policy.Namer     = (*Policy)(nil)
	_ policy.Grouper   = (*Policy)(nil)

	_ policy.RateLimiter = (*Policy)(nil)
)

// A slot holds an instance or room for one. The goroutine that set state to busy owns in:
//
//	empty ──take──▶ busy ──Release──▶ idle ──take──▶ busy …
//	  ▲               │ Release after a fault: the instance is closed
//	  └───────────────┘
//
// A busy slot may belong to the goroutine that replaces its instance: see replace.go.
//
// A compare-and-swap from idle or empty to busy claims a slot, and the store that frees it
// publishes in and the memory of the instance to the next owner. A mutex for all slots would
// be one word that every core writes for each batch; here goroutines of different sessions
// mostly meet different slots.
type slot struct {
	policy *Policy // static
	state  atomic.Uint32
	in     *instance
	_      [104]byte // so that two slots' states share no cache line
}

// The states of a slot.
const (
	empty = iota
	idle
	busy
)

// put releases the slot with an instance.
func (s *slot) put(in *instance) {
	s.in = in
	s.state.Store(idle)
}

// RestartTime implements policy.Restarter. It returns the time that the first instance took,
// because guests start the same way each time: CPU time on Linux, elapsed time elsewhere.
func (p *Policy) RestartTime() time.Duration { return p.restart }

func (p *Policy) has(export string) bool { return p.compiled.ExportedFunctions()[export] != nil }

// Classify implements policy.Policy.
func (p *Policy) Classify(service pdu.ServiceID, command pdu.CommandID) (policy.Verdict, error) {
	s, err := p.claim(0)
	if err != nil {
		return 0, err
	}
	v, err := s.in.callClassify(uint16(service), uint16(command))
	if err == nil {
		err = s.in.canInspect(v)
	}
	s.release(err)
	if err != nil {
		return 0, err
	}
	return v, nil
}

// Inspect implements policy.Policy. If a verdict by ids asks for both inspections, only the
// one of the body is called, as it receives the header too, or for a body that is too large only
// the one of the header.
func (p *Policy) Inspect(byIDs policy.Verdict, q policy.Question) (policy.Verdict, error) {
	s, err := p.Reserve(q.Session)
	if err != nil {
		return 0, err
	}
	defer s.Release()
	return s.Inspect(byIDs, q)
}

// Reserve implements policy.Reserver. It reserves a slot.
func (p *Policy) Reserve(session uint64) (policy.Reserved, error) {
	s, err := p.claim(session)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Inspect implements policy.Reserved. After a fault the next call uses a fresh instance, which
// this goroutine makes. That can take as long as LoadFuel allows, so package policy counts it
// against the circuit breaker. Inspect also replaces an instance that has reached its mark during
// the caller's batch, because later decisions of the batch would cost more fuel.
func (s *slot) Inspect(byIDs policy.Verdict, q policy.Question) (policy.Verdict, error) {
	if !byIDs.Inspected() {
		return byIDs, nil
	}
	if s.in != nil && s.in.growth.atMark() && s.policy.mayMake() {
		if err := s.policy.replace(s); err != nil {
			return 0, err
		}
	}
	if s.in == nil {
		if err := s.policy.fill(s, nil); err != nil {
			return 0, err
		}
	}
	v, err := s.in.inspectPDU(byIDs, &q)
	if err != nil {
		s.discard(err)
		return 0, err
	}
	return v, nil
}

// Fuel implements policy.FuelMeter. After a fault, all fuel counts as used.
func (s *slot) Fuel() uint64 {
	if s.in == nil {
		return s.policy.limits.Fuel
	}
	return s.policy.limits.Fuel - min(s.in.left(), s.policy.limits.Fuel)
}

// Release implements policy.Reserved.
func (s *slot) Release() {
	if s.in != nil && s.in.growth.due && s.policy.handleGrowth(s) {
		return // the slot belongs to another goroutine now
	}
	s.free()
}

// free releases the slot to other goroutines.
func (s *slot) free() {
	if s.in == nil {
		s.state.Store(empty)
		return
	}
	s.state.Store(idle)
}

// inspectPDU calls the inspection that a verdict by ids asks for.
func (in *instance) inspectPDU(byIDs policy.Verdict, q *policy.Question) (v policy.Verdict, err error) {
	if err = in.canInspect(byIDs); err != nil {
		return 0, err
	}
	if in.inspectsBody(byIDs, q) {
		v, err = in.callInspectBody(q)
	} else {
		v, err = in.callInspect(q)
	}
	if err == nil && v.Inspected() {
		err = &policy.Fault{Kind: policy.FaultABI, Err: fmt.Errorf("the verdict of an inspection asks for an inspection: %v", v)}
	}
	return v, err
}

// inspectsBody tells which of the two inspections a verdict by ids asks for. If it asks for both, that
// of the header decides about a body that is larger than what may be inspected.
func (in *instance) inspectsBody(byIDs policy.Verdict, q *policy.Question) bool {
	if byIDs.Has(abi.InspectHeader) && in.inspect != nil && len(q.Body) > in.limits.BodyBytes {
		return false
	}
	return byIDs.Has(abi.InspectBodyOf)
}

// canInspect returns a fault if v asks for an inspection that the guest lacks.
func (in *instance) canInspect(v policy.Verdict) error {
	var lacks string
	switch {
	case v.Has(abi.InspectHeader) && in.inspect == nil && !v.Has(abi.InspectBodyOf):
		lacks = abi.Inspect
	case v.Has(abi.InspectBodyOf) && in.inspectBody == nil:
		lacks = abi.InspectBody
	default:
		return nil
	}
	return &policy.Fault{Kind: policy.FaultABI, Err: fmt.Errorf("the verdict %v asks for %s, %w", v, lacks, errLacksExport)}
}

// errLacksExport ends the error of a verdict that asks for an inspection which the guest
// does not have.
var errLacksExport = errors.New("which the guest does not export")

// claim returns a busy slot with an instance for the caller. It searches from hint on, so
// that the PDUs of one session tend to use the same instance. It prefers existing instances
// to new ones. If all are busy it yields until one is released: a goroutine that holds one
// never blocks. The error is a *policy.Fault.
func (p *Policy) claim(hint uint64) (*slot, error) {
	for {
		if s := p.take(hint, idle); s != nil {
			return s, nil
		}
		if s := p.take(hint, empty); s != nil {
			if err := p.fill(s, nil); err != nil {
				s.Release()
				return nil, err
			}
			return s, nil
		}
		runtime.Gosched()
	}
}

// take makes a slot in the given state busy and returns it, or nil.
func (p *Policy) take(hint uint64, state uint32) *slot {
	n := len(p.slots)
	i := int(hint % uint64(n))
	for range n {
		s := &p.slots[i]
		if s.state.Load() == state && s.state.CompareAndSwap(state, busy) {
			return s
		}
		if i++; i == n {
			i = 0
		}
	}
	return nil
}

// fill makes an instance for a slot that is the caller's and has none. It passes memory to
// instantiate.
func (p *Policy) fill(s *slot, memory linearMemory) error {
	in, err := p.instantiate(memory)
	if err == nil {
		if err = in.prepare(p); err != nil {
			in.close()
		}
	}
	if err != nil {
		if refused, ok := errors.AsType[*GateError](err); ok { // only its cause counts: the policy is past the gates
			err = refused.Err
		}
		return &policy.Fault{Kind: policy.FaultInstance, Err: err}
	}
	s.in = in
	return nil
}

// release gives the slot back after one call with that error.
func (s *slot) release(err error) {
	if err != nil {
		s.discard(err)
	}
	s.Release()
}

// discard closes an instance that failed, because its state is unknown: the trap may have
// interrupted a change to its heap. A fault of kind FaultBody is not a failure of the guest,
// so the instance is kept.
func (s *slot) discard(err error) {
	if fault, ok := err.(*policy.Fault); ok && fault.Kind != policy.FaultBody {
		s.in.close()
		s.in = nil
	}
}

// Close implements policy.Policy: it closes all instances and frees the machine code. If an
// instance is being made, Close waits for it.
func (p *Policy) Close() error {
	p.replacements.running.Wait()
	if err := (compilation{runtime: p.runtime, module: p.compiled}).close(); err != nil {
		return fmt.Errorf("close policy %q: %w", p.name, err)
	}
	return nil
}
