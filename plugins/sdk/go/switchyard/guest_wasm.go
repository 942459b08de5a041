package switchyard

import "unsafe"

//go:wasmexport switchyard_abi_v1
func marker() {}

//go:wasmexport buffer
func buffer(size uint32) uint32 {
	if size > MaxBytes {
		return 0
	}
	return uint32(uintptr(unsafe.Pointer(&room)))
}

// Log writes a line to the server's log.
//
//go:wasmimport switchyard_v1 log
func Log(level int32, text string)
