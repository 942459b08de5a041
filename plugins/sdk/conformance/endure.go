package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm"
)

// buffer checks that the guest has room for bodies of all sizes or refuses them with 0. It must have
// room for short ones: a guest that inspects bodies and takes none would never decide. The sizes go up
// and down again, because a guest whose memory has grown must still find its buffer.
func (c *checker) buffer() (string, error) {
	if !c.exports(abi.InspectBody) {
		return "no bodies are inspected", nil
	}
	var all problems
	// The server asks for the buffer of the largest body when it makes an instance.
	limits := wasm.DefaultLimits()
	limits.BodyBytes = 1<<32 - 1
	if gate, ok := errors.AsType[*wasm.GateError](c.with(limits, func(*wasm.Policy) {})); ok {
		all.add("asked for room for %d bytes: %v", limits.BodyBytes, gate.Err)
	}
	limits.BodyBytes = 1 << 20
	largest := 0
	all.addErr(c.with(limits, func(p *wasm.Policy) {
		for _, size := range []int{0, 1, 4096, most - 1, most, most + 1, 1 << 20, 1, 0} {
			switch ok, err := takes(p, size); {
			case err != nil:
				all.add("a body of %d bytes: %v", size, err)
			case ok:
				largest = max(largest, size)
			case size <= 1:
				all.add("a body of %d bytes is refused", size)
			}
		}
	}))
	note := fmt.Sprintf("takes bodies of %d bytes", largest)
	if largest < most {
		note += fmt.Sprintf(", not of the %d that the server may ask about; what is above is decided by classify", most)
	}
	return note, all.err()
}

// with loads the policy into an engine with these limits and calls use.
func (c *checker) with(limits wasm.Limits, use func(*wasm.Policy)) error {
	e := wasm.NewEngine(limits, nil)
	defer func() { _ = e.Close() }()
	p, err := c.loadWith(e, c.subject.Config)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	use(p)
	return nil
}

// takes reports whether the guest accepts a body of that size.
func takes(p *wasm.Policy, size int) (bool, error) {
	_, err := p.Inspect(abi.InspectBodyOf, policy.Question{Header: header(uint32(pdu.HeaderLen+size), pdu.CID_MSG_DATA, 0), Body: make([]byte, size), Session: 1})
	if fault, ok := errors.AsType[*policy.Fault](err); ok {
		switch {
		case fault.Kind == policy.FaultBody:
			return false, nil
		case fault.Kind == policy.FaultFuel && size > most:
			return true, nil // the server gives more fuel for bodies above the default size
		}
	}
	return true, err
}

// configure loads the guest with malformed and extreme configurations. The guest may accept or refuse
// each, but must not trap, nor run out of fuel or depth: an operator's typo would then be reported as a
// fault of the policy.
func (c *checker) configure() (string, error) {
	if !c.exports(abi.Configure) {
		return "takes no configuration", nil
	}
	c.muted = true // a guest may log much about them
	defer func() { c.muted = false }()
	var all problems
	accepted := 0
	configs := []string{
		"{}", "[]", "null", "0", `""`, "{", `{"`, `{"a`, `{"a\`, `{"a":`, `{"a":"\`, `{"a":1`, `{"a":{"b":[1,2,{}]}}`, "\xff\xfe", "\x00",
		"{" + strings.Repeat(" ", 12<<10) + "}", strings.Repeat(`{"a":`, 10<<10), strings.Repeat(" ", 1<<20),
	}
	for _, config := range configs {
		p, err := c.loadWith(c.engine, []byte(config))
		if err == nil {
			accepted++
			_ = p.Close()
		}
		if _, ok := errors.AsType[*policy.Fault](err); ok {
			all.add("configuration %.20q of %d bytes: %v", config, len(config), err)
		}
	}
	return fmt.Sprintf("accepts %d of %d odd configurations, refuses the others", accepted, len(configs)), all.err()
}

// pure repeats all questions: to the same instance, backwards, and to a fresh instance. A policy is a
// pure function, because the server makes and discards instances as it likes. One that keeps the last
// command in a variable, for example, answers differently in another order.
func (c *checker) pure() (string, error) {
	all := c.compare(c.policy, slices.Backward(c.asked))
	fresh, err := c.loadWith(c.engine, c.subject.Config)
	if err != nil {
		return "", fmt.Errorf("a second time: %w", err)
	}
	defer func() { _ = fresh.Close() }()
	if err := c.compare(fresh, slices.All(c.asked)).err(); err != nil {
		all.addErr(fmt.Errorf("a fresh instance: %w", err))
	}
	if err := all.err(); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d questions got equal verdicts, forwards, backwards, and from a fresh instance", len(c.asked)), nil
}

// fuel returns the decision that took the most fuel. Decisions that ran out of it are
// problems of inspect and inspect_body.
func (c *checker) fuel() (string, error) {
	var most uint64
	var by ask
	for i, a := range c.asked {
		if got := c.answers[i]; got.Fault == nil && got.Fuel > most {
			most, by = got.Fuel, a
		}
	}
	return fmt.Sprintf("%d of %d units at most: %v", most, wasm.DefaultLimits().Fuel, by), nil
}

// decisions is the number after which the memory must have stopped growing.
const decisions = 100_000

// memory repeats the questions that left the instance alive; after a fault there is a new
// one with new memory. A garbage collector may need some memory, so the memory may grow
// during the first half of the decisions, but not during the second.
func (c *checker) memory() (string, error) {
	var alive []int // indexes of questions
	for i, got := range c.answers {
		if got.Fault == nil || got.Fault.Kind == policy.FaultBody {
			alive = append(alive, i)
		}
	}
	if len(alive) == 0 {
		return "", errors.New("nothing could be asked")
	}
	first := c.answers[alive[0]].Memory
	half, end := uint64(0), uint64(0)
	for n := range decisions {
		i := alive[n%len(alive)]
		got := c.asked[i].of(c.policy)
		if got.Fault != nil && c.answers[i].Fault == nil {
			return "", fmt.Errorf("after %d decisions: %v: %w", n, c.asked[i], got.Fault)
		}
		if end = max(end, got.Memory); n == decisions/2 {
			half = end
		}
	}
	if end > half {
		return "", fmt.Errorf("%d KiB after the first decision, %d after %d, %d after %d: does it allocate without freeing?",
			first>>10, half>>10, decisions/2, end>>10, decisions)
	}
	return fmt.Sprintf("%d KiB after the first decision, %d after %d", first>>10, end>>10, decisions), nil
}
