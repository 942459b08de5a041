//go:build full

package wasm

import "switchyard/policy/wasm/binary"

func wasmNum(op byte, n uint64) []byte { return binary.AppendU([]byte{op}, n) }
func wasmGet(local uint64) []byte      { return wasmNum(0x20, local) }
func wasmSet(local uint64) []byte      { return wasmNum(0x21, local) }
func wasmSIMD(n uint64, rest ...byte) []byte {
	return append(wasmNum(0xfd, n), rest...)
}
func wasmF64(b ...byte) []byte { return append([]byte{0x44}, b...) }

// wasmRandom advances wRand and leaves it on the stack.
var wasmRandom = wasmCat(wasmGet(wRand), wasmI32(1664525), wasmOp(0x6c), wasmI32(1013904223), wasmOp(0x6a), wasmNum(0x22, wRand))

// wasmPlace leaves a pseudo-random address below 16 MiB less 64 KiB.
var wasmPlace = wasmCat(wasmRandom, wasmI32(8), wasmOp(0x76), wasmI32(0xfe_ffff), wasmOp(0x71))

// wasmPlaceBelow leaves an address from which n bytes can follow.
func wasmPlaceBelow(n int64) []byte {
	return wasmCat(wasmPlace, wasmI32(max(1, 16<<20-n-1)), wasmOp(0x70))
}

// wasmTable branches to one of n labels at random, each with code of its own.
func wasmTable(n int) (out []byte) {
	for range n + 1 {
		out = append(out, 0x02, 0x40)
	}
	out = append(out, wasmRandom...)
	out = append(out, wasmCat(wasmI32(8), wasmOp(0x76), wasmI32(int64(n)), wasmOp(0x70))...)
	out = binary.AppendU(append(out, 0x0e), uint64(n))
	for i := range n + 1 {
		out = binary.AppendU(out, uint64(i))
	}
	for i := range n + 1 {
		out = append(out, 0x0b)
		if i < n {
			out = append(out, wasmCat(wasmGet(wLong), wasmI64(int64(i)*77777777777), wasmOp(0x85), wasmSet(wLong))...)
			out = binary.AppendU(append(out, 0x0c), uint64(n-i-1))
		}
	}
	return out
}

func hex(n uint64) string {
	const digits = "0123456789abcdef"
	if n < 16 {
		return " " + digits[n:n+1]
	}
	return hex(n/16) + digits[n%16:n%16+1]
}
