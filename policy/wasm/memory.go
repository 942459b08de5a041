package wasm

import "github.com/tetratelabs/wazero/experimental"

// A linearMemory is the memory of one instance. Its owner is the owner of the instance.
type linearMemory interface {
	experimental.LinearMemory

	// reuse takes the memory from its instance, which must not be called any more but may be
	// closed, and returns it for another instance of the same policy, with all bytes zero.
	reuse() linearMemory
}
