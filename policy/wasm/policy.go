package wasm

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/tetratelabs/wazero"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// A Policy is a loaded module with its configuration; it implements
// policy.Policy. Its instances stand in a fixed number of slots, so that it holds
// a bounded amount of memory however many goroutines ask it.
type Policy struct {
	// Static after Load.
	name     string
	limits   Limits
	config   []byte
	runtime  wazero.Runtime
	compiled wazero.CompiledModule

	lines guestLog
	slots []slot
}

var _ policy.Reserver = (*Policy)(nil)

// A slot holds an instance or room for one. Whoever set state to busy owns in.
type slot struct {
	policy *Policy // static
	state  atomic.Uint32
	in     *instance
	_      [104]byte // keeps neighbours' states out of each other's cache lines
}

// The states of a slot.
const (
	empty = iota
	idle
	busy
)

// put gives the slot back with a sound instance.
func (s *slot) put(in *instance) {
	s.in = in
	s.state.Store(idle)
}

// Inspects reports whether the guest looks into PDUs at all.
func (p *Policy) Inspects() bool { return p.has(abi.Inspect) || p.has(abi.InspectBody) }

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

// Inspect implements policy.Policy. A verdict by ids that asks for both
// inspections gets the one of the body, which is told the header as well.
func (p *Policy) Inspect(byIDs policy.Verdict, q policy.Question) (policy.Verdict, error) {
	s, err := p.Reserve(q.Session)
	if err != nil {
		return 0, err
	}
	defer s.Release()
	return s.Inspect(byIDs, q)
}

// Reserve implements policy.Reserver. What it keeps is a slot.
func (p *Policy) Reserve(session uint64) (policy.Reserved, error) {
	s, err := p.claim(session)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Inspect implements policy.Reserved. After a fault the next question meets a fresh
// instance.
func (s *slot) Inspect(byIDs policy.Verdict, q policy.Question) (policy.Verdict, error) {
	if !byIDs.Inspected() {
		return byIDs, nil
	}
	if s.in == nil {
		if err := s.policy.fill(s); err != nil {
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

// Release implements policy.Reserved.
func (s *slot) Release() {
	if s.in == nil {
		s.state.Store(empty)
		return
	}
	s.state.Store(idle)
}

// inspectPDU asks for the inspection that a verdict by ids wants.
func (in *instance) inspectPDU(byIDs policy.Verdict, q *policy.Question) (v policy.Verdict, err error) {
	if err = in.canInspect(byIDs); err != nil {
		return 0, err
	}
	if byIDs.Has(abi.InspectBodyOf) {
		v, err = in.callInspectBody(q)
	} else {
		v, err = in.callInspect(q)
	}
	if err == nil && v.Inspected() {
		err = &policy.Fault{Kind: policy.FaultABI, Err: fmt.Errorf("the verdict of an inspection asks for an inspection: %v", v)}
	}
	return v, err
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

// errLacksExport ends the error of a verdict that asks for what is not there.
var errLacksExport = errors.New("which the guest does not export")

// claim returns a slot with an instance for the caller alone. It looks from hint
// on, so that the PDUs of one session tend to meet the same instance, prefers
// instances that exist, and waits for one by yielding: who holds one never
// blocks. The error is a *policy.Fault.
func (p *Policy) claim(hint uint64) (*slot, error) {
	for {
		if s := p.take(hint, idle); s != nil {
			return s, nil
		}
		if s := p.take(hint, empty); s != nil {
			if err := p.fill(s); err != nil {
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

// fill makes an instance for a slot that is the caller's and has none.
func (p *Policy) fill(s *slot) error {
	in, err := p.instantiate()
	if err == nil {
		if err = in.prepare(p); err != nil {
			in.close()
		}
	}
	if err != nil {
		var refused *GateError // the policy is in force, and at no gate
		if errors.As(err, &refused) {
			err = refused.Err
		}
		return &policy.Fault{Kind: policy.FaultInstance, Err: err}
	}
	s.in = in
	return nil
}

// release gives a slot back after one question.
func (s *slot) release(err error) {
	if err != nil {
		s.discard(err)
	}
	s.Release()
}

// discard gives up an instance that failed, unless it was never asked: it is not trusted
// any more.
func (s *slot) discard(err error) {
	if fault, ok := err.(*policy.Fault); ok && fault.Kind != policy.FaultBody {
		s.in.close()
		s.in = nil
	}
}

// Close ends all instances and frees what the module was compiled to. It
// implements policy.Policy.
func (p *Policy) Close() error {
	if err := (compilation{runtime: p.runtime, module: p.compiled}).close(); err != nil {
		return fmt.Errorf("close policy %q: %w", p.name, err)
	}
	return nil
}
