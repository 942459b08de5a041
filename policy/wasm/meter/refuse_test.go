package meter

import (
	"bytes"
	"strings"
	"testing"

	"switchyard/policy/wasm/binary"
)

// raw is the code of a function that is the only one, exported as "run".
func raw(parts ...[]byte) []byte { return one(parts...).assemble() }

// module puts sections together: each an id and its bytes.
func sections(parts ...[]byte) []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, p := range parts {
		out = binary.AppendSection(out, p[0], p[1:])
	}
	return out
}

// wide is the number n in more bytes than it needs.
func wide(n byte, size int) []byte {
	out := append([]byte{n | 0x80}, bytes.Repeat([]byte{0x80}, size-2)...)
	return append(out, 0)
}

func TestRefused(t *testing.T) {
	typeSec := op(binary.SectionType, 1, 0x60, 0, 0)
	funcSec := op(binary.SectionFunction, 1, 0)
	codeSec := op(binary.SectionCode, 1, 2, 0, opEnd)
	for name, tc := range map[string]struct {
		module []byte
		want   string
	}{
		"empty":              {nil, "byte 0: not a WebAssembly module"},
		"text":               {[]byte("(module (func))"), "not a WebAssembly module"},
		"half a header":      {[]byte("\x00asm\x01"), "not a WebAssembly module"},
		"component":          {[]byte("\x00asm\x0d\x00\x01\x00"), "a component"},
		"version 2":          {[]byte("\x00asm\x02\x00\x00\x00"), "version 02 00 00 00"},
		"section too long":   {[]byte("\x00asm\x01\x00\x00\x00\x01\x7f"), "section 1 has 127 bytes, 0 are left"},
		"section size":       {append([]byte("\x00asm\x01\x00\x00\x00\x01"), 0xff, 0xff, 0xff, 0xff, 0xff), "more than 32 bits"},
		"unknown section":    {sections(op(14)), "section 14 is not known"},
		"tags":               {sections(op(13)), "exceptions"},
		"twice":              {sections(typeSec, typeSec), "the type section is repeated or out of order"},
		"out of order":       {sections(op(binary.SectionData, 0), op(binary.SectionCode, 0)), "the code section is repeated or out of order"},
		"left over":          {sections(op(binary.SectionType, 1, 0x60, 0, 0, 9)), "type section: byte 14: 1 bytes are left over"},
		"huge count":         {sections(append(op(binary.SectionType), 0xff, 0xff, 0xff, 0xff, 0x0f)), "4294967295 types do not fit into the 0 bytes left"},
		"rec group":          {sections(op(binary.SectionType, 1, 0x4e, 0, 0)), "0x4e begins a type of garbage collection"},
		"no type":            {sections(op(binary.SectionType, 1, 0x51, 0, 0)), "0x51 does not begin the type of a function"},
		"typed reference":    {sections(op(binary.SectionType, 1, 0x60, 1, 0x64, 0, 0)), "value type 0x64 is of typed references"},
		"many params":        {sections(append(append(op(binary.SectionType, 1, 0x60), binary.AppendU(nil, 1001)...), append(bytes.Repeat([]byte{tI32}, 1001), 0)...)), "1001 parameters or results"},
		"import of a tag":    {sections(op(binary.SectionImport, 1, 0, 0, 4, 0)), "import of kind 4"},
		"import type":        {sections(op(binary.SectionImport, 1, 0, 0, binary.KindFunction, 3)), "type 3 does not exist"},
		"function type":      {sections(typeSec, op(binary.SectionFunction, 1, 1)), "type 1 does not exist, there are 1"},
		"no code":            {sections(typeSec, funcSec), "1 functions are declared, 0 have code"},
		"no function":        {sections(codeSec), "0 functions are declared, 1 have code"},
		"shared memory":      {sections(op(binary.SectionMemory, 1, 3, 1, 1)), "shared or 64-bit memory"},
		"64-bit memory":      {sections(op(binary.SectionMemory, 1, 4, 1)), "shared or 64-bit memory"},
		"two memories":       {sections(op(binary.SectionMemory, 2, 0, 1, 0, 1)), "2 memories"},
		"huge table":         {sections(append(op(binary.SectionTable, 1, tFunc, 0), binary.AppendU(nil, 1<<20+1)...)), "1048577 elements of tables"},
		"table max":          {sections(op(binary.SectionTable, 1, tFunc, 1, 2, 1)), "largest size of a table is below the smallest"},
		"table with value":   {sections(op(binary.SectionTable, 1, 0x40, 0, tFunc, 0, 1)), "reference type 0x40 is not known"},
		"many tables":        {sections(append(binary.AppendU(op(binary.SectionTable), 101), bytes.Repeat([]byte{tFunc, 0, 0}, 101)...)), "101 tables"},
		"global of itself":   {sections(op(binary.SectionGlobal, 1, tI32, 0, opGlobalGet, 1, opEnd)), "global 1 does not exist, there are 1"},
		"extended constant":  {sections(op(binary.SectionGlobal, 1, tI32, 0, opI32Const, 1, opI32Const, 1, opI32Add, opEnd)), "opcode 0x6a in a constant expression"},
		"export of added":    {sections(op(binary.SectionExport, 1, 1, 'f', binary.KindGlobal, 0)), "global 0 does not exist, there are 0"},
		"export of function": {sections(typeSec, funcSec, op(binary.SectionExport, 1, 1, 'f', binary.KindFunction, 1), codeSec), "function 1 does not exist, there are 1"},
		"export of tag":      {sections(op(binary.SectionExport, 1, 1, 'f', 4, 0)), `export "f" of kind 4`},
		"reserved name":      {sections(op(binary.SectionMemory, 1, 0, 1), append(append(op(binary.SectionExport, 1, byte(len(FuelExport))), FuelExport...), binary.KindMemory, 0)), "reserved for metering"},
		"start":              {sections(typeSec, funcSec, op(binary.SectionStart, 1), codeSec), "start section: byte 20: function 1 does not exist"},
		"element":            {sections(typeSec, funcSec, op(binary.SectionElement, 1, 1, 0, 1, 1), codeSec), "function 1 does not exist"},
		"element expression": {sections(typeSec, funcSec, op(binary.SectionElement, 1, 5, tFunc, 1, opRefFunc, 1, opEnd), codeSec), "function 1 does not exist"},
		"element offset":     {sections(typeSec, funcSec, op(binary.SectionElement, 1, 0, opGlobalGet, 0, opEnd, 1, 0), codeSec), "global 0 does not exist"},
		"element beyond":     {sections(typeSec, funcSec, op(binary.SectionTable, 1, tFunc, 0, 5), op(binary.SectionElement, 1, 0, opI32Const, 4, opEnd, 2, 0, 0), codeSec), "element segment with elements 4 to 5, in a table of 5"},
		"element far beyond": {sections(typeSec, funcSec, op(binary.SectionTable, 1, tFunc, 0, 5), op(binary.SectionElement, 1, 2, 0, opI32Const, 0x7f, opEnd, 0, 1, 0), codeSec), "element segment with elements 4294967295 to 4294967295, in a table of 5"},
		"element kind":       {sections(op(binary.SectionElement, 1, 8, 0, 0)), "element segment of kind 8"},
		"data kind":          {sections(op(binary.SectionData, 1, 3, 0)), "data segment of kind 3"},
		"data too long":      {sections(op(binary.SectionData, 1, 1, 9, 0)), "9 bytes are announced, 1 are left"},

		"code too long":      {sections(typeSec, funcSec, op(binary.SectionCode, 1, 3, 0, opEnd)), "a function has 3 bytes, 2 are left"},
		"no end":             {raw(op(opBlock, blockEmpty)), "meter the module: function 0: byte 51: the bytes end too early"},
		"after the end":      {raw(op(opEnd, 1)), "left over after the end of the function"},
		"else without if":    {raw(block(op(opElse))), "an else without an if"},
		"else twice":         {raw(control(opIf, blockEmpty, op(opElse, opElse))), "an else without an if"},
		"else of function":   {raw(op(opElse)), "an else without an if"},
		"label":              {raw(br(1)), "label 1 does not exist, there are 1"},
		"label of br_table":  {raw(block(op(0x0e, 1, 0, 2))), "label 2 does not exist, there are 2"},
		"labels":             {raw(append(op(0x0e), 0xff, 0xff, 0xff, 0xff, 0x0f)), "labels do not fit"},
		"added fuel":         {raw(i64(1<<40), with(opGlobalSet, 0)), "global 0 does not exist, there are 0"},
		"added fuel is read": {raw(with(opGlobalGet, 0)), "global 0 does not exist"},
		"added local":        {raw(get(1)), "local 1 does not exist, there are 1"},
		"added function":     {raw(call(1)), "function 1 does not exist, there are 1"},
		"added reference":    {raw(with(opRefFunc, 1)), "function 1 does not exist"},
		"added type":         {raw(op(opBlock, 1, opEnd)), "type 1 does not exist, there are 1"},
		"added call type":    {raw(op(opCallIndirect, 1, 0)), "type 1 does not exist"},
		"added elements":     {raw(bulkOp(13, 0)), "element segment 0 does not exist"},
		"added table.init":   {raw(bulkOp(12, 0, 0)), "element segment 0 does not exist"},
		"many locals":        {(&guest{funcs: []fn{{locals: append(make50k(), tI32)}}}).assemble(), "more than 50000 locals"},
		"deep nesting":       {raw(repeat(MaxNesting+1, op(opBlock, blockEmpty))), "more than 10000 nested blocks"},
		"bad block type":     {raw(op(opBlock, 0x41)), "value type 0x41 is not known"},
		"bad select":         {raw(op(0x1c, 2, tI32, tI32)), "byte 0x2 where 0x1 is needed"},
		"alignment":          {raw(op(0x28, 0x40, 0)), "alignment 0x40"},
		"memory index":       {raw(op(opMemoryGrow, 1)), "byte 0x1 where 0x0 is needed"},
		"long i32":           {raw(op(opI32Const, 0x80, 0x80, 0x80, 0x80, 0x08)), "more than 32 bits"},
		"longer i32":         {raw(op(opI32Const), wide(1, 6)), "more than 32 bits"},
		"long i64":           {raw(op(opI64Const), bytes.Repeat([]byte{0x80}, 9), op(2)), "more than 64 bits"},

		"tail call":          {raw(op(0x12, 0)), "opcode 0x12 is of tail calls"},
		"indirect tail call": {raw(op(0x13, 0, 0)), "opcode 0x13 is of tail calls"},
		"try":                {raw(op(0x06, blockEmpty)), "opcode 0x6 is of exceptions"},
		"try_table":          {raw(op(0x1f, blockEmpty, 0)), "opcode 0x1f is of exceptions"},
		"call_ref":           {raw(op(0x14, 0)), "opcode 0x14 is of typed function references"},
		"atomics":            {raw(op(0xfe, 3, 0)), "opcode 0xfe is of threads"},
		"struct.new":         {raw(op(0xfb, 0, 0)), "opcode 0xfb is of garbage-collected types"},
		"unknown":            {raw(op(0x27)), "opcode 0x27 is not known"},
		"unknown misc":       {raw(bulkOp(18)), "opcode 0xfc 0x12 is not known"},
		"unknown vector":     {raw(op(opVector, 0x9a, 1)), "opcode 0xfd 0x9a is not known"},
		"wide vector":        {raw(op(opVector), wide(0x0c, 2), make([]byte, 16)), "takes more bytes than it needs"},
		"relaxed vector":     {raw(op(opVector, 0x80, 2)), "opcode 0xfd 0x100 is of relaxed SIMD"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := Rewrite(tc.module, ample)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %d bytes, error %q; want one about %q", len(out.Module), err, tc.want)
			}
		})
	}
}

func TestLimitsRefused(t *testing.T) {
	for _, l := range []Limits{{Fuel: MaxFuel + 1}, {LoadFuel: MaxFuel + 1}, {Depth: MaxDepth + 1}} {
		if _, err := Rewrite(raw(), l); err == nil {
			t.Errorf("%+v is accepted", l)
		}
	}
	if _, err := Rewrite(raw(), Limits{Fuel: MaxFuel, LoadFuel: MaxFuel, Depth: MaxDepth}); err != nil {
		t.Errorf("the largest limits: %v", err)
	}
}

// TestTruncated cuts a module at every byte.
func TestTruncated(t *testing.T) {
	module := generate(7)
	for n := range module {
		if _, err := Rewrite(module[:n], ample); err == nil && n > 8 {
			// What ends at the end of a section may be a module, but never with
			// functions without code.
			if m, _ := parse(module[:n]); len(m.bodies) != len(m.funcs) {
				t.Errorf("cut at %d of %d bytes, it is accepted", n, len(module))
			}
		}
	}
}
