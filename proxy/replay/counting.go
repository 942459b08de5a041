package replay

import (
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// A countingPolicy counts and times the calls of a policy.
//
// Both the simulation and its hub may have to ask about one PDU: the simulation to find
// out whether the hub may have it, the hub to route it. The guest is called once: the
// simulation asks by inspectFirst, and the answer is kept for the hub until next.
type countingPolicy struct {
	policy.Policy
	calls uint64
	time  time.Duration

	// About the PDU that is being judged.
	sawBody bool    // the policy was given its body
	answer  *answer // of inspectFirst, or nil
}

type answer struct {
	verdict policy.Verdict
	err     error
}

// Close does nothing: the policy belongs to the caller of Run.
func (c *countingPolicy) Close() error { return nil }

// RateLimits implements policy.RateLimiter.
func (c *countingPolicy) RateLimits() policy.RateLimits { return policy.RateLimitsOf(c.Policy) }

// resetCounts forgets the calls so far, which filled the memo.
func (c *countingPolicy) resetCounts() { c.calls, c.time = 0, 0 }

// next gets ready for the next PDU.
func (c *countingPolicy) next() { c.answer, c.sawBody = nil, false }

func (c *countingPolicy) Classify(service pdu.ServiceID, command pdu.CommandID) (policy.Verdict, error) {
	defer c.count(time.Now())
	return c.Policy.Classify(service, command)
}

func (c *countingPolicy) Inspect(byIDs policy.Verdict, q policy.Question) (policy.Verdict, error) {
	if c.answer != nil {
		return c.answer.verdict, c.answer.err
	}
	c.sawBody = c.sawBody || byIDs.Has(abi.InspectBodyOf)
	defer c.count(time.Now())
	return c.Policy.Inspect(byIDs, q)
}

func (c *countingPolicy) count(start time.Time) {
	c.calls++
	c.time += time.Since(start)
}

// inspectFirst is Inspect ahead of the hub. Like a policy.Generation, it turns an error
// into a fault, with which the verdict by ids applies.
func (c *countingPolicy) inspectFirst(byIDs policy.Verdict, q policy.Question) (policy.Verdict, *policy.Fault) {
	v, err := c.Inspect(byIDs, q)
	c.answer = &answer{v, err}
	if err == nil {
		return v, nil
	}
	return byIDs &^ (abi.InspectHeader | abi.InspectBodyOf), policy.FaultOf(err)
}
