package trial

import (
	"encoding/gob"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime/debug"
	"time"

	"switchyard/policy/wasm"
)

// argument is the only argument of a child.
const argument = "try-policy-in-this-process"

// An order is what the child reads.
type order struct {
	wasm.Trial
	Memory uint64 // see Runner
}

// A message is what the child reports, one after the other: each gate that the module enters,
// and at last the report.
type message struct {
	Gate   wasm.Gate    `json:",omitempty"`
	Report *wasm.Report `json:",omitempty"`
}

// IsChild reports whether the arguments of this process are those of a child. It then has to
// call Child and exit.
func IsChild(args []string) bool { return len(args) == 2 && args[1] == argument }

// Child is what a child does: it limits itself, reads one order, and reports. It returns the
// exit code.
func Child(in io.Reader, out, stderr io.Writer) int {
	var o order
	if err := gob.NewDecoder(in).Decode(&o); err != nil {
		fmt.Fprintf(stderr, "read what to try: %v\n", err)
		return 1
	}
	if err := limitProcess(o.Memory+instances*uint64(o.Limits.MemoryPages)<<16, cpuFor(o.Limits.LoadTime)); err != nil {
		fmt.Fprintf(stderr, "limit this process: %v\n", err)
		return 1
	}
	// The garbage collector keeps the heap below the limit while that is possible. Most children end before
	// they have to collect.
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(int64(o.Memory / 4 * 3))
	report := json.NewEncoder(out)
	r := wasm.Try(o.Trial, func(g wasm.Gate) { _ = report.Encode(message{Gate: g}) })
	if err := report.Encode(message{Report: &r}); err != nil {
		fmt.Fprintf(stderr, "report: %v\n", err)
		return 1
	}
	return 0
}

// instances is how many instances of a guest exist at once while it is loaded: one, and two to
// compare wazero's compiler with its interpreter.
const instances = 3

// cpuFor returns how many seconds of CPU time a child may use. Its own clock notices that a
// load takes too long, but does not count the garbage collector and what happens while a guest
// or the compiler cannot be interrupted.
func cpuFor(loadTime time.Duration) uint64 {
	return uint64(math.Ceil(loadTime.Seconds()*1.5)) + 1
}
