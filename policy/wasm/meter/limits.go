package meter

// Limits on declarations of a few bytes that cause much memory or work when the module is
// compiled or instantiated. Real guests stay far below them. They bound what can grow more
// than proportionally to the size of the module, which has its own limit. For example, the
// bytes `ff ff 7f 7f` declare two million locals of type i32, and a compiler makes a variable
// of each.
const (
	MaxTypes          = 10_000
	MaxImports        = 1000
	MaxFunctions      = 100_000 // imported ones included
	MaxGlobals        = 10_000  // imported ones included; each instance has all of them
	MaxExports        = 10_000
	MaxElementParts   = 10_000  // segments of elements
	MaxElements       = 1 << 20 // of all segments together
	MaxDataParts      = 100_000 // segments of data
	MaxArity          = 1000    // parameters, and results, of one type
	MaxPages          = 1 << 16 // of a memory, by the standard
	MaxTables         = 100     // defined by the module
	MaxTableElements  = 1 << 20 // of all these tables together, growth included
	MaxExportedFuncs  = 4096    // exports that are functions
	MaxFunctionLocals = 50_000  // of one function, parameters included
	MaxLocals         = 1 << 22 // of all functions together
	MaxNesting        = 10_000  // of blocks in one function
	MaxValues         = 1 << 23 // that the code of one function can make, see cost.go
	MaxBranching      = 1 << 28 // the squares of blocks and conditional branches, and of labels of br_table, summed over functions: compilers walk all that dominate each
	MaxReloads        = 1 << 26 // of mutable globals after calls: compilers reload each after each
)
