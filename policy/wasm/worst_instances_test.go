//go:build full

package wasm

import (
	"bytes"
	"testing"
	"time"

	"switchyard/policy/abi"
	"switchyard/policy/wasm/binary"
	"switchyard/policy/wasm/meter"
)

// A declaration is a module whose n items, of a few bytes each, cost every instance as much time
// as possible. It has no code to speak of.
type declaration struct {
	name   string
	n      int
	module func(n int) []byte
}

// declared returns a sound policy with further sections. A nil section is left out; functions is
// how many functions of type 0 it has besides its own two.
func declared(functions int, sections map[byte][]byte) []byte {
	out := []byte(binary.Preamble)
	add := func(id byte, items ...[]byte) {
		if own, ok := sections[id]; ok {
			out = binary.AppendSection(out, id, own)
		} else if len(items) > 0 {
			out = binary.AppendSection(out, id, binary.AppendVector(nil, items...))
		}
	}
	export := func(name string, f byte) []byte { return append(binary.AppendSized(nil, []byte(name)), 0, f) }
	add(binary.SectionType, wasmOp(0x60, 0, 0), wasmOp(0x60, 2, 0x7f, 0x7f, 1, 0x7e))
	out = binary.AppendSection(out, binary.SectionFunction, binary.AppendU(nil, uint64(2+functions)), []byte{0, 1}, make([]byte, functions))
	for _, id := range []byte{binary.SectionTable, binary.SectionMemory, binary.SectionGlobal} {
		add(id)
	}
	add(binary.SectionExport, export(abi.Marker, 0), export(abi.Classify, 1))
	add(binary.SectionElement)
	code := wasmCat(binary.AppendU(nil, uint64(2+functions)), wasmOp(2, 0, 0x0b), wasmOp(4, 0, 0x42, 4, 0x0b), bytes.Repeat(wasmOp(2, 0, 0x0b), functions))
	out = binary.AppendSection(out, binary.SectionCode, code)
	add(binary.SectionData)
	return out
}

// many is the content of a section with n equal items.
func many(n int, item ...byte) []byte {
	return append(binary.AppendU(nil, uint64(n)), bytes.Repeat(item, n)...)
}

func declarations() []declaration {
	table := wasmCat([]byte{1, 0x70, 0}, binary.AppendU(nil, meter.MaxTableElements))
	const parts = 64           // segments
	const affordable = 390_000 // elements, by their fuel; meter.MaxElements limits their memory
	elements := func(n int, head, tail []byte) []byte {
		segment := wasmCat(head, binary.AppendU(nil, uint64(n/parts)), bytes.Repeat(tail, n/parts))
		return wasmCat([]byte{parts}, bytes.Repeat(segment, parts))
	}
	active, expressions := wasmOp(0, 0x41, 0, 0x0b), wasmOp(4, 0x41, 0, 0x0b)
	return []declaration{
		{"active elements", affordable, func(n int) []byte {
			return declared(0, map[byte][]byte{binary.SectionTable: table, binary.SectionElement: elements(n, active, []byte{1})})
		}},
		{"active elements as expressions", affordable, func(n int) []byte {
			return declared(0, map[byte][]byte{binary.SectionTable: table, binary.SectionElement: elements(n, expressions, wasmOp(0xd2, 1, 0x0b))})
		}},
		{"active elements that are null", affordable, func(n int) []byte {
			return declared(0, map[byte][]byte{binary.SectionTable: table, binary.SectionElement: elements(n, expressions, wasmOp(0xd0, 0x70, 0x0b))})
		}},
		{"passive elements", affordable, func(n int) []byte {
			return declared(0, map[byte][]byte{binary.SectionTable: table, binary.SectionElement: elements(n, wasmOp(1, 0), []byte{1})})
		}},
		{"declared elements", affordable, func(n int) []byte {
			return declared(0, map[byte][]byte{binary.SectionElement: elements(n, wasmOp(3, 0), []byte{1})})
		}},
		{"element segments", meter.MaxElementParts, func(n int) []byte {
			return declared(0, map[byte][]byte{binary.SectionTable: table, binary.SectionElement: many(n, 0, 0x41, 0, 0x0b, 1, 1)})
		}},
		{"table elements", meter.MaxTableElements, func(n int) []byte {
			return declared(0, map[byte][]byte{binary.SectionTable: wasmCat([]byte{1, 0x70, 0}, binary.AppendU(nil, uint64(n)))})
		}},
		{"tables", meter.MaxTables, func(n int) []byte {
			return declared(0, map[byte][]byte{binary.SectionTable: many(n, 0x70, 0, 0x80, 0x50)})
		}},
		{"globals", meter.MaxGlobals, func(n int) []byte {
			return declared(0, map[byte][]byte{binary.SectionGlobal: many(n, 0x7f, 1, 0x41, 0, 0x0b)})
		}},
		{"globals of functions", meter.MaxGlobals, func(n int) []byte {
			return declared(0, map[byte][]byte{binary.SectionGlobal: many(n, 0x70, 1, 0xd2, 1, 0x0b)})
		}},
		{"vector globals", meter.MaxGlobals, func(n int) []byte {
			return declared(0, map[byte][]byte{binary.SectionGlobal: many(n, wasmCat([]byte{0x7b, 1, 0xfd, 12}, make([]byte, 16), []byte{0x0b})...)})
		}},
		{"data segments", meter.MaxDataParts, func(n int) []byte {
			return declared(0, map[byte][]byte{binary.SectionMemory: wasmOp(1, 0, 1), binary.SectionData: many(n, 0, 0x41, 0, 0x0b, 1, 'a')})
		}},
		{"passive data segments", meter.MaxDataParts, func(n int) []byte {
			return declared(0, map[byte][]byte{binary.SectionMemory: wasmOp(1, 0, 1), binary.SectionData: many(n, 1, 1, 'a')})
		}},
		{"data", 8<<20 - 1000, func(n int) []byte {
			return declared(0, map[byte][]byte{binary.SectionMemory: wasmOp(1, 0, 0x80, 2), binary.SectionData: wasmCat([]byte{1, 0, 0x41, 0, 0x0b}, binary.AppendU(nil, uint64(n)), make([]byte, n))})
		}},
		{"functions", meter.MaxFunctions - 2, func(n int) []byte { return declared(n, nil) }},
	}
}

// TestWorstInstances measures what making an instance takes besides the guest's own code, where a
// module declares as much of one kind as it may. Together they share the fuel for loading.
func TestWorstInstances(t *testing.T) {
	e := newEngine(t, DefaultLimits(), nil)
	for _, d := range declarations() {
		t.Run(d.name, func(t *testing.T) {
			p := compiled(t, e, d.module(d.n))
			best := time.Hour
			for n := 0; n < measurements && best > worstStart; n++ {
				read, stop := e.clock()
				in, err := p.instantiate(nil)
				took := read()
				stop()
				if err != nil {
					t.Fatal(err)
				}
				in.close()
				best = min(best, took)
			}
			t.Logf("%v, %d ns for each of %d", best, best.Nanoseconds()/int64(d.n), d.n)
			if best > worstStart {
				t.Errorf("making an instance takes %v, want at most %v", best, worstStart)
			}
		})
	}
}
