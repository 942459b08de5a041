// Package policy defines what can be decided about a PDU: verdicts, the memo of verdicts
// that depend on ids alone, the limits of a policy, and the generation in force. It never
// sends, stores or logs anything.
package policy

import (
	"errors"
	"fmt"
	"time"

	"switchyard/pdu"
	"switchyard/policy/abi"
)

// A Policy is one loaded version of the rules together with its configuration.
// It is a pure function: equal questions get equal verdicts. Any number of goroutines may
// call it at once.
type Policy interface {
	// Classify decides by ids alone. An error is a *Fault.
	Classify(pdu.ServiceID, pdu.CommandID) (Verdict, error)
	// Inspect decides about one PDU. byIDs is the verdict of Classify; its flags say
	// whether to inspect the header or the body. The result asks for no inspection. An
	// error is a *Fault.
	Inspect(byIDs Verdict, q Question) (Verdict, error)
	// Close frees what the policy holds. No other call may be in progress or follow.
	Close() error
}

// A Reserver is a Policy that can keep one of its instances for several questions in a
// row, which is faster than claiming one for each.
type Reserver interface {
	Policy
	// Reserve keeps an instance for the caller's questions about the session. An error is
	// a *Fault.
	Reserve(session uint64) (Reserved, error)
}

// A Restarter is a Policy that needs a fresh instance after a fault.
type Restarter interface {
	Policy
	// RestartTime returns how much CPU time a fresh instance takes.
	RestartTime() time.Duration
}

// Reserved is an instance that a Reserver keeps for one goroutine. There are few, so the
// goroutine must not wait for anything before Release, nor call the same policy.
type Reserved interface {
	// Inspect is Policy.Inspect on this instance.
	Inspect(byIDs Verdict, q Question) (Verdict, error)
	// Release gives it back.
	Release()
}

// A FuelMeter is a Reserved that measures its calls.
type FuelMeter interface {
	// Fuel returns how much fuel the last inspection used.
	Fuel() uint64
}

// A Question holds what a policy that inspects may know about one PDU.
type Question struct {
	Header     []byte // the 16 bytes on the wire
	Body       []byte
	Session    uint64  // the sender's session number
	Attributes uint64  // facts about the sender: the attribute bits of policy/abi, but for groups
	Groups     []Group // in which the sender is
}

// AttributesOf returns the attribute bits of a sender, but for groups.
func AttributesOf(master bool) uint64 {
	if master {
		return abi.AttributeMaster
	}
	return 0
}

// A Grouper is a Policy that may name groups.
type Grouper interface {
	Policy
	// Groups returns the groups that the policy names, by its own numbers. It returns the same
	// each time.
	Groups() []Group
}

// GroupsOf returns the groups that p names; none if it is not a Grouper.
func GroupsOf(p Policy) []Group {
	if named, names := p.(Grouper); names {
		return named.Groups()
	}
	return nil
}

// A FaultKind says in which way a policy failed to decide. It is metric label,
// log field and test assertion alike.
type FaultKind string

const (
	FaultTrap     FaultKind = "trap"      // the guest trapped by itself
	FaultFuel     FaultKind = "fuel"      // it ran longer than a decision may take
	FaultDepth    FaultKind = "recursion" // its calls nested deeper than they may
	FaultABI      FaultKind = "abi"       // it returned what is not a verdict, or an address outside its memory
	FaultBody     FaultKind = "body-size" // the body is larger than what may be inspected, or than the guest's buffer
	FaultInstance FaultKind = "instance"  // a fresh instance could not be made
	FaultBudget   FaultKind = "budget"    // it was not called: its circuit breaker is open
	FaultEffect   FaultKind = "effect"    // its verdict is not allowed; found by Generation, never by a Policy
)

// FaultKinds lists every kind of fault. Recordings store the index, so new kinds are
// appended.
var FaultKinds = [...]FaultKind{FaultTrap, FaultFuel, FaultDepth, FaultABI, FaultBody, FaultInstance, FaultBudget, FaultEffect}

// FaultOf returns an error of a policy as a Fault. One that is none counts as a trap.
func FaultOf(err error) *Fault {
	if fault, ok := errors.AsType[*Fault](err); ok {
		return fault
	}
	return &Fault{Kind: FaultTrap, Err: err}
}

// A Fault is the error of a policy that failed to decide.
type Fault struct {
	Kind    FaultKind
	Err     error
	ByLimit bool // for FaultBody: the body exceeds the configured limit, so the policy was not called
}

func (f *Fault) Error() string { return fmt.Sprintf("policy fault (%s): %v", f.Kind, f.Err) }

func (f *Fault) Unwrap() error { return f.Err }
