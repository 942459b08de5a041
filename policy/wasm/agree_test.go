package wasm

import (
	"context"
	"slices"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/table"
	"switchyard/policy/wasm/binary"
	"switchyard/policy/wasm/meter"
)

// A policy that compares zero with an `and` is decided as WebAssembly defines it.
func TestZeroAnd(t *testing.T) {
	p := load(t, newEngine(t, DefaultLimits(), nil), "zero_and")
	for command := range pdu.CommandID(64) {
		want := policy.Verdict(abi.BroadcastExceptSender)
		if command%2 == 1 {
			want = abi.Drop
		}
		if got, err := p.Classify(pdu.SID_MSG, command); err != nil || got != want {
			t.Errorf("classify %#x: got %v, %v, want %v", uint16(command), got, err, want)
		}
	}
}

// compare runs the gate "engines" alone, on two modules that were rewritten.
func compare(t *testing.T, compiled, interpreted []byte, constants ...int64) (asked int, err error) {
	t.Helper()
	e := newEngine(t, DefaultLimits(), nil)
	l := &loader{engine: e, metered: meter.Rewritten{Constants: constants}, policy: &Policy{name: "tenant-a", limits: e.limits, config: []byte("{}")}, computed: always(0)}
	c, err := l.compare(context.Background(), compiled, interpreted)
	if err != nil {
		err = atGate(GateEngines, "tenant-a", err)
	}
	return c.asked, err
}

// A guest that fails each time is asked until the fresh instances for the comparison are used up.
func TestFaultsEndTheComparison(t *testing.T) {
	endless := metered(t, "endless_loop")
	if asked, err := compare(t, endless, endless); err != nil || asked >= comparePDUs {
		t.Errorf("asked %d questions, %v", asked, err)
	}
}

// A fault uses little fuel, but the fresh instances after it may use much. The time that is left for
// them is looked at before they are made.
func TestNoInstancesAfterTheTime(t *testing.T) {
	e := newEngine(t, DefaultLimits(), nil)
	reads := 0
	clock := func() time.Duration { reads++; return time.Duration(reads-1) * compareTime } // it is over at the second reading
	l := &loader{engine: e, policy: &Policy{name: "tenant-a", limits: e.limits, config: []byte("{}")}, computed: clock}
	trap := rewrite(t, answering(wasmOp(0x00)))
	c, err := l.compare(context.Background(), trap, trap)
	if err != nil || c.asked != 1 || c.restarts != 0 {
		t.Errorf("asked %d questions with %d restarts, %v; want one, as the time is over then", c.asked, c.restarts, err)
	}
}

// A start that nests more calls than the interpreter can is not a fault of the compiler.
func TestStartTooDeepForTheInterpreter(t *testing.T) {
	limits := DefaultLimits()
	limits.Depth = 10_000
	p, err := newEngine(t, limits, nil).Load(t.Context(), "tenant-a", guest(t, "deep_start"), nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
}

// TestEnginesDisagree gives the two engines modules that differ, as if one of them were
// wrong.
func TestEnginesDisagree(t *testing.T) {
	sound := metered(t, "sound")
	if asked, err := compare(t, sound, sound); err != nil || asked < comparePDUs {
		t.Errorf("the same module: asked %d questions, %v", asked, err)
	}
	for name, c := range map[string]struct{ compiled, interpreted, say string }{
		"verdict of ids": {"zero_and", "trap", "classify(SID_LOGIN, CID_LOGIN_REQ_MSGSERVER): compiled drop"},
		"inspection":     {"endless_loop", "trap", "the inspection of the PDU"},
		"start":          {"trap_start", "sound", "starting: compiled"},
		"only one start": {"sound", "trap_start", "starting: compiled starts, interpreted "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := compare(t, metered(t, c.compiled), metered(t, c.interpreted))
			wantGate(t, err, GateEngines, "disagree on "+c.say, "report it")
		})
	}
	t.Run("fuel", func(t *testing.T) { // which differs if they take different paths to one verdict
		_, err := compare(t, rewrite(t, dropAll(0)), rewrite(t, dropAll(100)))
		wantGate(t, err, GateEngines, "units of fuel left", "report it")
	})
	t.Run("ids of a constant", func(t *testing.T) {
		oneRule := func(verdict string) []byte {
			parsed, err := table.Parse("one rule", []byte("[route]\n0x0777 = \""+verdict+"\"\n"))
			if err != nil {
				t.Fatal(err)
			}
			return rewrite(t, parsed.Module())
		}
		_, err := compare(t, oneRule("consume"), oneRule("broadcast-all"), 0x0777)
		wantGate(t, err, GateEngines, "0x0777", "report it")
	})
}

// dropAll returns a module whose classify drops everything, after some work that is of no use.
func dropAll(work int) []byte {
	return answering(wasmCat(slices.Repeat(wasmCat(wasmI32(1), wasmOp(0x1a)), work), wasmI64(0)))
}

// answering returns a module whose classify has this code.
func answering(code []byte) []byte {
	export := func(name string, f byte) []byte { return append(binary.AppendSized(nil, []byte(name)), 0, f) }
	m := binary.AppendSection([]byte(binary.Preamble), binary.SectionType,
		binary.AppendVector(nil, []byte{binary.Func, 0, 0}, []byte{binary.Func, 2, binary.I32, binary.I32, 1, binary.I64}))
	m = binary.AppendSection(m, binary.SectionFunction, binary.AppendVector(nil, []byte{0}, []byte{1}))
	m = binary.AppendSection(m, binary.SectionExport, binary.AppendVector(nil, export(abi.Marker, 0), export(abi.Classify, 1)))
	classify := wasmCat([]byte{0}, code, wasmOp(0x0b))
	return binary.AppendSection(m, binary.SectionCode, binary.AppendVector(nil, []byte{2, 0, 0x0b}, binary.AppendSized(nil, classify)))
}

// These return code of modules: an instruction, a constant of each width, and several parts as one.
func wasmOp(b ...byte) []byte        { return b }
func wasmI32(v int64) []byte         { return binary.AppendS([]byte{0x41}, v) }
func wasmI64(v int64) []byte         { return binary.AppendS([]byte{0x42}, v) }
func wasmCat(parts ...[]byte) []byte { return slices.Concat(parts...) }
