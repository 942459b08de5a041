// Package policy is what may be decided about a PDU: verdicts, the memo of those
// that depend on ids alone, and the generation in force. It never sends, stores
// or logs.
package policy

import (
	"fmt"

	"switchyard/pdu"
)

// A Policy is one loaded version of the rules together with its configuration.
// It is a pure function: equal questions get equal verdicts. Any number of
// goroutines may ask it at once.
type Policy interface {
	// Classify decides by ids alone. An error is a *Fault.
	Classify(pdu.ServiceID, pdu.CommandID) (Verdict, error)
	// Inspect decides about one PDU whose verdict by ids asks for it, which is
	// passed as byIDs and says whether header or body is to be looked at. An
	// error is a *Fault.
	Inspect(byIDs Verdict, q Question) (Verdict, error)
	// Close frees what the policy holds. Nobody may be asking it any more.
	Close() error
}

// A Reserver is a Policy that answers many questions in a row faster than one by one.
type Reserver interface {
	Policy
	// Reserve keeps what answers questions of the session for the caller alone. An error
	// is a *Fault.
	Reserve(session uint64) (Reserved, error)
}

// Reserved is what a Reserver keeps for one goroutine. There are few: who has one does
// not wait for anything, not for the same policy either, until its Release.
type Reserved interface {
	// Inspect is that of Policy.
	Inspect(byIDs Verdict, q Question) (Verdict, error)
	// Release gives it back.
	Release()
}

// A Question is what a policy that inspects may know about one PDU.
type Question struct {
	Header     []byte // the 16 bytes on the wire
	Body       []byte
	Session    uint64 // the sender's session number
	Attributes uint64 // facts about the sender: the attribute bits of policy/abi
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
	FaultBudget   FaultKind = "budget"    // it was not asked, as it has failed too often lately
	FaultEffect   FaultKind = "effect"    // its verdict is more than it may do; found by Generation, never by a Policy
)

// FaultKinds lists every kind of fault. Recordings know them by their place: new ones
// come last.
var FaultKinds = [...]FaultKind{FaultTrap, FaultFuel, FaultDepth, FaultABI, FaultBody, FaultInstance, FaultBudget, FaultEffect}

// A Fault is the error of a policy that failed to decide.
type Fault struct {
	Kind FaultKind
	Err  error
}

func (f *Fault) Error() string { return fmt.Sprintf("policy fault (%s): %v", f.Kind, f.Err) }

func (f *Fault) Unwrap() error { return f.Err }
