package wasm

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Gate is one of the checks that a module has to pass to become a policy. In an error it
// is the first that the module did not pass.
type Gate string

// The gates, in the order in which a module meets them.
const (
	GateSize        Gate = "size"
	GateMagic       Gate = "magic"
	GateMetering    Gate = "metering"
	GateCompile     Gate = "compile"
	GateImports     Gate = "imports"
	GateExports     Gate = "exports"
	GateInstantiate Gate = "instantiate"
	GateConfigure   Gate = "configure"
	GateGroups      Gate = "groups"
	GateDryRun      Gate = "dry-run"
	GateEngines     Gate = "engines"
)

// A GateError says at which gate a policy was refused, why, and what to do:
//
//	policy "teamtalk" refused at the exports gate: exports no function classify; export it
//	as (i32, i32) -> i64
//
// The cause of the refusal decides whether the same module may pass another time:
//
//	                    temporary   slow
//	the module          no          no     the engine remembers it, and refuses it at once
//	how long it loads   no          yes    the same
//	the system          yes         no     not remembered: no memory, or the load was given up
//	a busy machine      yes         yes    not remembered; the next load gets twice the time
type GateError struct {
	Gate   Gate
	Policy string
	Err    error
	Remedy string

	temporary, slow bool // see Refusal
}

// Error says which policy was refused where, why, and what to do. After a stack trace the remedy
// has a line of its own.
func (e *GateError) Error() string {
	text, separator := e.Err.Error(), "; "
	if strings.Contains(text, "\n\t") { // it ends in a stack trace
		separator = "\n"
	}
	return fmt.Sprintf("policy %q refused at the %s gate: %s%s%s", e.Policy, e.Gate, text, separator, e.Remedy)
}

func (e *GateError) Unwrap() error { return e.Err }

// Starved reports whether the policy was refused because this machine had too little CPU
// time to load it. The next attempt may succeed.
func (e *GateError) Starved() bool { return e.temporary && e.slow }

// remedies holds the remedy of a gate, for refusals that have none of their own.
var remedies = map[Gate]string{
	GateCompile:     "the module is not valid; build it again, with another version of its toolchain if that does not help",
	GateInstantiate: "the guest must start by itself, without files, environment or arguments, within its fuel for loading",
	GateConfigure:   "correct the policy's configuration",
	GateDryRun:      "classify must answer for every command, known or not, with a verdict of ABI version 1, see docs/abi.md",
	GateEngines:     "a fresh instance must start as the first one did: a policy is a pure function of its configuration",
}

// moreMemory is the remedy where this process got no memory, whatever the module is like.
const moreMemory = "give this process more memory or address space (ulimit -v, the unit, the container), or lower wasm.memory; then load it again"

// extensions is the remedy for what is beyond WebAssembly 2.0.
const extensions = "build it for WebAssembly 2.0, without threads, exceptions, tail calls or other extensions"

// meteringRemedy returns the remedy for a refusal by package meter.
func meteringRemedy(text string) string {
	switch {
	case strings.Contains(text, "is reserved"):
		return "give the export another name"
	case strings.Contains(text, " memories, "):
		return extensions
	case strings.Contains(text, "at most"), strings.Contains(text, "more than"), strings.Contains(text, "too many"):
		return "declare less: see the bounds in docs/abi.md"
	case strings.Contains(text, "support"), strings.Contains(text, "component"), strings.Contains(text, "version"), strings.Contains(text, "opcode"):
		return extensions
	}
	return "the module is damaged; write the file again, or build it again"
}

// refuse returns an error that has its own remedy.
func refuse(remedy, format string, args ...any) error {
	return &GateError{Err: fmt.Errorf(format, args...), Remedy: remedy}
}

// refuseNow is refuse for what may be different next time.
func refuseNow(remedy, format string, args ...any) error {
	return &GateError{Err: fmt.Errorf(format, args...), Remedy: remedy, temporary: true}
}

// Overdue returns the refusal of a policy that needed more time to load than it may.
func Overdue(limit time.Duration) *Refusal {
	return &Refusal{Text: fmt.Sprintf("loading took more than %v of "+loadTimeOf, limit), Slow: true,
		Remedy: "make the module or its largest function smaller, or raise wasm.load_time"}
}

// Starved returns the refusal of a policy that did not load within most, as the machine had
// only so much time for it.
func Starved(most, used time.Duration) *Refusal {
	return &Refusal{Text: fmt.Sprintf("loading did not end within %v, in which it got %v of "+loadTimeOf, most, used.Round(time.Millisecond)), Slow: true, Temporary: true,
		Remedy: "load it again when the machine is less busy, or raise wasm.load_time"}
}

// atGate makes err the error of a gate.
func atGate(gate Gate, name string, err error) *GateError {
	e, ok := errors.AsType[*GateError](err)
	if !ok {
		e = &GateError{Err: err, Remedy: remedies[gate]}
	}
	if e.Gate == "" {
		e.Gate = gate
	}
	e.Policy = name
	return e
}
