package wasm

import "github.com/tetratelabs/wazero/experimental"

// A linearMemory is the memory of one instance. Its owner is the owner of the instance.
type linearMemory interface {
	experimental.LinearMemory

	// reuse clears the memory and returns it for another instance of the same policy. The
	// receiver is empty then: its Free does nothing. The instance that had the memory must not
	// be called any more; it can be closed.
	reuse() linearMemory
}
