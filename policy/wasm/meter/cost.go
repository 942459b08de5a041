package meter

// A unit of fuel is a promise about time: a call that is given N units ends within about
// N × 30 ns, whatever its code does. So a weight is the worst-case cost of an instruction,
// with cold caches and mispredicted branches, rather than the average. Most code therefore
// pays several times what it uses. With average costs, deliberately slow code would run
// longer than its fuel allows.
//
// For example, the body of a loop that divides what it loads:
//
//	local.get 0       1
//	i32.load          4  near; and 3 or 8 units more for each turn in a large memory
//	local.get 1       1
//	i32.div_u         8
//	local.set 1       1
//	local.get 1       1
//	br_if             2
//	                 18, and 1 for the local that the loop sets: 2 units each turn

// The worst-case cost of an instruction, in simple instructions, each of which takes up to 2
// ns. Operands add to it: one for each value that a call, a branch or a block passes on, and
// one for each local that must be merged where paths meet. TestWorstCases of package wasm
// measures that no code takes much longer than its weight says.
const (
	weightNear     = 4   // a load that hits a cache of the core; others cost more, see farUnits
	weightStore    = 8   // of which several are under way at a time; others cost more, see farShift
	weightBranch   = 2   // a conditional branch, which may be mispredicted
	weightRound    = 4   // conversions to integers, and rounding
	weightVector   = 4   // a vector instruction is several of the machine's
	weightDivision = 8   // divisions and square roots
	weightCall     = 16  // a call in a module with more than nearCode, because the code may not be cached
	weightIndirect = 240 // a call through a table, which may be to the host
	weightMove     = 96  // filling and copying, in addition to the length
	weightLeave    = 192 // leaving compiled code: calls to the host, growing, references to functions
	worthCharge    = 16  // a charge costs about four of them, so less code than this gets none of its own
	weightPerUnit  = 16  // simple instructions that one unit of fuel pays for
)

// FarPages is the size of memory, in pages of 64 KiB, above which loads and stores cost the
// most: 4 MiB.
const FarPages = 64

// A load costs more in a large memory, because its address may depend on the previous load:
// above nearPages it may miss a core's own caches, and above FarPages also the shared cache
// and the TLB. See stride.go for loads that never cost more. A store is only slow across the
// border of two pages that are not in the TLB, because nothing waits for its value.
//
//	memory              up to 1 MiB    up to 4 MiB    more
//	units for a load    0              3              8      and weightNear in each case
//	units for a store   0              0              2      and weightStore in each case
const (
	nearPages = 16       // 1 MiB
	midUnits  = 3        // of fuel
	farUnits  = 8        // of fuel
	farShift  = 2        // a store costs midUnits>>farShift or farUnits>>farShift
	nearCode  = 64 << 10 // bytes of code that stay in the caches
)

// A few bytes can declare much that must be made for each instance. An instance is also made
// after every fault, so a module could cost the host more by failing than by running.
//
// The cost of making an instance before its code runs, in units of fuel. TestWorstInstances
// of package wasm measures that nothing takes much longer.
const (
	unitsPerElement        = 6 // wazero evaluates an expression for each
	unitsPerElementSegment = 10
	unitsPerGlobal         = 6
	unitsPerDataSegment    = 3
	bytesPerUnit           = 32 // of data
	tableElementsPerUnit   = 8
)

// instanceCost returns the fuel that making an instance of the module costs, besides its code.
func (m *module) instanceCost() uint64 {
	units := unitsPerElement*m.elements + unitsPerElementSegment*m.elems + unitsPerGlobal*m.globals + unitsPerDataSegment*m.datas + m.dataBytes/bytesPerUnit
	for _, t := range m.tables {
		units += int(t.min / tableElementsPerUnit)
	}
	return uint64(units)
}

// A bulk is what the length operand of an instruction costs in fuel: the length
// shifted left by it, or right if negative. Zero stands for no length operand.
// It is computed in 64 bits, so that no length overflows: memory.fill of 4096 bytes costs
// 4096 >> 6 = 64 units, memory.grow by 2 pages 2 << 10 = 2048.
type bulk int8

const (
	bulkBytes    bulk = -6 // one unit for 64 bytes
	bulkElements bulk = -3 // one unit for 8 elements of a table
	bulkPages    bulk = 10 // one unit for 64 bytes of a page of 64 KiB
)

// Frames. A compiler may give every value that a function produces a slot of up to 16 bytes
// in its frame. wazero's does, and shares none.
const (
	valuesPerDepth = 64
	// smallFrame is the depth that a function which calls nothing may use without being
	// counted: there is never more than one such frame at a time.
	smallFrame = 16
)

// fuelFor returns the units of fuel for code of the given weight, rounded up.
func fuelFor(weight uint64) uint64 { return (weight + weightPerUnit - 1) / weightPerUnit }

// depthFor returns the units of depth of a frame with so many values.
func depthFor(values uint64) uint64 { return 1 + values/valuesPerDepth }
