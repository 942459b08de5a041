package wasm

import "github.com/tetratelabs/wazero/experimental"

// A linearMemory is the memory of one instance. Its owner is the owner of the instance.
type linearMemory interface {
	experimental.LinearMemory

	// reuse clears the memory and returns it for another instance of the same policy. It leaves
	// the receiver empty, so Free of the receiver does nothing. Afterwards the caller may only
	// close the instance that had the memory.
	reuse() linearMemory
}
