package wasm

import (
	"context"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
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

// compare runs the gate "engines" alone, on modules that are not rewritten.
func compare(t *testing.T, compiled, interpreted []byte) (asked int, err error) {
	t.Helper()
	e := newEngine(t, DefaultLimits(), nil)
	l := &loader{engine: e, policy: &Policy{name: "tenant-a", limits: e.limits, config: []byte("{}")}, computed: always(0)}
	c, err := l.compare(context.Background(), compiled, interpreted)
	if err != nil {
		err = atGate(GateEngines, "tenant-a", err)
	}
	return c.asked, err
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
		"start":          {"trap_start", "sound", "starting"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := compare(t, metered(t, c.compiled), metered(t, c.interpreted))
			wantGate(t, err, GateEngines, "disagree on "+c.say, "report it")
		})
	}
}
