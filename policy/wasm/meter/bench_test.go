package meter

import (
	"testing"

	"switchyard/policy/wasm/binary"
)

// What metering costs: each guest as it is, and rewritten.
//
//	go test -bench Call ./policy/wasm/meter
func BenchmarkCall(b *testing.B) {
	number := sig{params: []byte{tI32}, results: []byte{tI64}}
	for name, f := range map[string]fn{
		"empty":          {},
		"switch":         {sig: number, code: switchOf(15)},
		"loop of 1000":   {locals: []byte{tI32}, code: code(i32(1000), set(0), loop(get(0), i32(1), op(opI32Sub), op(opLocalTee, 0), brIf(0)))},
		"call of a leaf": {code: call(1)},
	} {
		f.export = "run"
		original := (&guest{funcs: []fn{f, {}}}).assemble()
		b.Run(name+"/plain", func(b *testing.B) { benchmarkCall(b, original) })
		b.Run(name+"/metered", func(b *testing.B) { benchmarkCall(b, mustRewrite(b, original, ample)) })
	}
}

func benchmarkCall(b *testing.B, module []byte) {
	run := instantiate(b, module).ExportedFunction("run")
	var stack [1]uint64
	var n uint64
	b.ReportAllocs()
	for b.Loop() {
		n = n*2862933555777941757 + 3037000493
		stack[0] = n >> 60
		if err := run.CallWithStack(ctx, stack[:]); err != nil {
			b.Fatal(err)
		}
	}
}

// switchOf branches by the parameter to n ways of returning a number.
func switchOf(n int) []byte {
	labels := binary.AppendU([]byte{0x0e}, uint64(n))
	for i := range n + 1 {
		labels = binary.AppendU(labels, uint64(i))
	}
	out := code(repeat(n+1, op(opBlock, blockEmpty)), get(0), labels)
	for i := range n {
		out = code(out, op(opEnd), i64(int64(i*i)), op(opReturn))
	}
	return code(out, op(opEnd), i64(-1))
}
