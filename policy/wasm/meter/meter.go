// Package meter rewrites a WebAssembly module so that every call into it is bounded in time
// and stack. It runs nothing.
//
// It adds four globals and charges to the code, and makes each function that the host calls
// begin with full counters:
//
//	host ──▶ classify                     fuel = budget; depth = Limits.Depth
//	           │                            fuel -= cost of the longest path; trap if below 0
//	           │                            depth -= size of the frame; trap if below 0
//	           ├─ large branch              fuel -= cost of the longest path in it
//	           ├─ branch back to a loop     fuel -= cost of the longest turn; trap if below 0
//	           └─ any way out               depth += size of the frame
//
// meter.go is the entry; module.go and section.go parse, code.go, sections.go and operand.go
// walk the code, cost.go and opcode.go say what it costs, paths.go which places pay for it,
// depth.go which functions count depth, emit.go and encode.go write the result, and data.go
// joins segments of data.
package meter

import (
	"fmt"
	"math"
)

// Limits bounds what a rewritten module may use. FuelExport and DepthExport define the
// units.
//
// Reasonable initial values are 280,000 units of fuel for a call, 2,500,000 for loading and
// a depth of 1,000. A guest built with stock Go uses some 540,000 units and a depth of 300
// to initialise, and 170,000 units and a depth of 700 to parse a small JSON document the
// first time. Guests written in C and Rust use a fraction of that.
type Limits struct {
	Fuel     uint64 // per call, until the host sets another budget; at most MaxFuel
	LoadFuel uint64 // budget for making an instance: declarations use some of it, a start function may use the rest, and the counter holds what is left; at most MaxFuel
	Depth    uint32 // of nested calls; at most MaxDepth
	Pages    uint32 // of linear memory: a declared maximum above it is lowered; 0 lowers none
}

// The largest limits. Within them no counter overflows.
const (
	MaxFuel  = math.MaxInt64
	MaxDepth = 1 << 30
)

// Names of the mutable globals that Rewrite adds and exports. A module that exports one of
// these names itself is refused. No code of the module can access the globals.
const (
	// FuelExport is the fuel left, an i64. Each exported function begins by setting it to
	// BudgetExport. Below zero the guest traps at once. So after an error a negative value
	// means that the fuel ran out, and any other that the guest itself trapped.
	//
	// One unit pays for at most 16 simple instructions that run once each, for
	// 64 bytes that a bulk instruction writes, or for 8 elements of a table. Instructions
	// that can take longer count as several: a load costs 3 units more in a memory of more
	// than 1 MiB, and 8 in one of more than 4 MiB, as it may miss the caches; a store costs 2 more
	// there. A unit takes at most some 30 ns, and far less in most code. Code is charged before it
	// runs: the entry of a function charges for its longest path, a branch back to a loop for the
	// longest turn that ends there, and large branches charge where they begin: see paths.go.
	//
	// A function with a loop that calls nothing keeps the fuel in a local. If it traps by itself,
	// the global still has the value that it had at the last call or at the entry.
	FuelExport = "switchyard_fuel"

	// BudgetExport is the fuel of each following call, an i64. It begins as Limits.Fuel; the
	// host may change it.
	BudgetExport = "switchyard_budget"

	// DepthExport is the units of depth left, an i32. It is negative after an error if calls
	// nested too deep. Each call from the host that can nest deep begins by setting it to
	// Limits.Depth. A function that can nest deep holds units while it runs.
	//
	// One unit stands for at most 1 KiB of native stack: a function takes one,
	// and one more for every 64 values that its code can make, as each may need a
	// slot of its own in the frame. A function takes none if its frame is small, together with
	// those of all functions that it can call.
	DepthExport = "switchyard_depth"
)

// A Rewritten is a module that was rewritten, with what other checks need to know of the given one.
type Rewritten struct {
	Module  []byte
	Imports []Import
	// Constants has every i32 and i64 constant in the initial values of globals and in the code, in
	// their order, as often as they occur. An i32 has its sign, so that 0xffffffff is -1. Package wasm
	// searches them for the ids that a policy names.
	Constants []int64
}

// Rewrite returns a module that does the same as the given one, but is metered: every call from
// the host resets the counters, and all code that can run long or nest deep is charged. It refuses
// everything beyond WebAssembly 2.0 (which has multiple values, bulk memory, reference types and
// SIMD). It does not check types: the result is valid exactly if the module was, which the compiler
// finds out.
//
// Memory and time are proportional to the size of the module. The result is deterministic,
// and no module makes Rewrite panic. Sizes that a module claims are never trusted beyond its
// bytes. They are limited where a few bytes could make a compiler or a runtime allocate
// much memory: see limits.go.
func Rewrite(module []byte, l Limits) (Rewritten, error) {
	if err := l.check(); err != nil {
		return Rewritten{}, err
	}
	m, err := parse(module)
	if err != nil {
		return Rewritten{}, fmt.Errorf("read the module: %w", err)
	}
	if cost := m.instanceCost(); cost > l.LoadFuel {
		return Rewritten{}, fmt.Errorf("meter the module: making an instance costs %d units of fuel before any code runs, at most %d are supported; most of it for elements of tables, data and globals", cost, l.LoadFuel)
	}
	if err := m.meter(); err != nil {
		return Rewritten{}, fmt.Errorf("meter the module: %w", err)
	}
	return Rewritten{m.encode(l), m.imports, m.constants}, nil
}

func (l Limits) check() error {
	if l.Fuel > MaxFuel || l.LoadFuel > MaxFuel {
		return fmt.Errorf("fuel limits are at most %d", int64(MaxFuel))
	}
	if l.Depth > MaxDepth {
		return fmt.Errorf("the depth limit is at most %d", MaxDepth)
	}
	return nil
}
