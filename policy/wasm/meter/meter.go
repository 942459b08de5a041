// Package meter rewrites a WebAssembly module so that every call into it is
// bounded in time and stack. It runs nothing.
package meter

import (
	"fmt"
	"math"
)

// Limits is what a rewritten module may use; FuelExport and DepthExport say what
// a unit is.
//
// 200,000 units of fuel for a call, 50,000,000 to load and a depth of 2,000 are
// good to begin with. A guest of stock Go takes some 250,000 units and a depth of
// 300 to initialise, and to take a small JSON document apart 300,000 units the
// first time, 80,000 later, and a depth of 700. Guests of C and Rust take a
// fraction of that.
type Limits struct {
	Fuel     uint64 // per call, until the host sets another budget; at most MaxFuel
	LoadFuel uint64 // what the counter holds before the first export is called, so what a start function may use; at most MaxFuel
	Depth    uint32 // of nested calls; at most MaxDepth
}

// The largest limits. Within them no counter overflows.
const (
	MaxFuel  = math.MaxInt64
	MaxDepth = 1 << 30
)

// Names of the mutable globals that Rewrite adds and exports. A module that
// exports one of them by itself is refused, and no code of the module can reach
// them.
const (
	// FuelExport is the fuel left, an i64. Each exported function begins by setting
	// it to BudgetExport; below zero the guest traps at once, so a negative value
	// after an error says that the fuel ran out, and any other that the guest
	// trapped by itself.
	//
	// One unit pays for at most 16 simple instructions that run once each, for
	// 64 bytes that a bulk instruction writes, or for 8 elements of a table;
	// instructions that take longer count as several. It is some nanoseconds, and
	// some tens at worst. Code is paid for before it runs: at the entry of a
	// function and at each turn of a loop for what runs at most once from there,
	// taken branches or not.
	FuelExport = "switchyard_fuel"

	// BudgetExport is what each of the following calls may use, an i64. It begins
	// as Limits.Fuel and is the host's to set.
	BudgetExport = "switchyard_budget"

	// DepthExport is the units of depth left, an i32: negative after an error if
	// calls nested too deep. Each exported function begins by setting it to
	// Limits.Depth; every function that calls others holds units while it runs.
	//
	// One unit stands for at most 1 KiB of native stack: a function takes one,
	// and one more for every 64 values that its code can make, as each may need a
	// slot of its own in the frame. A function that calls nothing takes none if
	// its frame is small.
	DepthExport = "switchyard_depth"
)

// Rewrite returns a module that does what the given one does, with every
// exported function replaced by one that refills the counters, and every way to
// run long or nest deep paid for. What it does not know, it refuses: everything
// beyond WebAssembly 2.0 (which has multiple values, bulk memory, reference types
// and SIMD). It does not look at types: the result is as valid or invalid as the
// module was, and whoever compiles it finds out.
//
// Memory and time are proportional to the size of the module, the result is the
// same each time, and no module makes it panic. Sizes that a module claims are
// believed only as far as its bytes go, and are limited where a few bytes make a
// compiler or a run-time allocate much: see the constants in limits.go. Tables
// are held to MaxTableElements in all.
func Rewrite(module []byte, l Limits) ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	m, err := parse(module)
	if err != nil {
		return nil, fmt.Errorf("read the module: %w", err)
	}
	if err := m.meter(); err != nil {
		return nil, fmt.Errorf("meter the module: %w", err)
	}
	return m.encode(l), nil
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
