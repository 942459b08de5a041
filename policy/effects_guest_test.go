package policy_test

import (
	"context"
	"os"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/table"
	"switchyard/policy/wasm"
)

// limited loads the module and holds it to the limits.
func limited(t *testing.T, module []byte, may, commands []string, otherwise string) *policy.Generation {
	t.Helper()
	engine := wasm.NewEngine(wasm.DefaultLimits(), nil)
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	p, err := engine.Load(context.Background(), "guest", module, nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := policy.ParseEffects(may, commands, otherwise)
	if err != nil {
		t.Fatal(err)
	}
	g := policy.NewLimitedGeneration("guest", "", p, e)
	t.Cleanup(g.Release)
	return g
}

func TestLimitOfATable(t *testing.T) {
	module, err := table.Compile("routes.toml", []byte(`[route]
CID_MSG_DATA       = "unicast fields 1 2, else-broadcast"
CID_SWITCH_P2P_CMD = "unicast fields 1 2"
CID_OTHER_ROLE_SET = "handle role-set"
CID_FILE_NOTIFY    = "unicast sender"
else               = "close"
`))
	if err != nil {
		t.Fatal(err)
	}
	g := limited(t, module, []string{"unicast", "handle users-status-request"}, []string{"CID_MSG_DATA", "CID_SWITCH_P2P_CMD", "0x0700-0xffff"}, "consume")
	for _, tt := range []struct {
		command pdu.CommandID
		want    policy.Verdict
		fault   bool
	}{
		{pdu.CID_MSG_DATA, abi.Consume, true},
		{pdu.CID_SWITCH_P2P_CMD, abi.Unicast | abi.ToFields<<abi.SelectorShift | 6<<abi.ArgumentShift, false},
		{pdu.CID_OTHER_ROLE_SET, abi.Consume, true},
		{pdu.CID_FILE_NOTIFY, abi.Consume, true},
		{0x0700, abi.Consume, true},
		{0xffff, abi.Consume, true},
	} {
		for range 2 {
			v, fault := g.Judge(pdu.Append(nil, 3, tt.command, 0, nil), 1, 0)
			if v != tt.want || (fault != nil) != tt.fault || fault != nil && fault.Kind != policy.FaultEffect {
				t.Errorf("%v: Judge = %v, %v; want %v, fault %v", tt.command, v, fault, tt.want, tt.fault)
			}
		}
	}
	if got, want := len(g.Outside()), len(pdu.Commands)-1; got != want {
		t.Errorf("%d known commands lie outside, want %d", got, want)
	}
}

// A guest whose verdicts by ids are allowed, and those after an inspection are not.
func TestLimitOfAGuestThatInspects(t *testing.T) {
	module, err := os.ReadFile("wasm/testdata/sound.wasm")
	if err != nil {
		t.Fatal(err)
	}
	g := limited(t, module, []string{"broadcast-except-sender"}, nil, "broadcast-all")
	for _, command := range []pdu.CommandID{pdu.CID_MSG_DATA, pdu.CID_SWITCH_P2P_CMD, pdu.CID_MSG_READ_NOTIFY} {
		for range 50 { // more than breakerLimit
			v, fault := g.Judge(pdu.Append(nil, 3, command, 0, []byte("x")), 77, 0)
			if v != abi.BroadcastAll || fault == nil || fault.Kind != policy.FaultEffect {
				t.Fatalf("%v: Judge = %v, %v; want broadcast-all and a fault", command, v, fault)
			}
		}
	}
	if got := g.Faults(policy.FaultEffect); got != 150 {
		t.Errorf("counted %d faults, want 150", got)
	}
	if got := g.Outside(); got != nil {
		t.Errorf("Outside = %v; by ids the guest exceeds nothing", got)
	}
	if v, fault := g.Judge(pdu.Append(nil, 3, 0x7777, 0, nil), 77, 0); v != abi.BroadcastExceptSender || fault != nil {
		t.Errorf("Judge = %v, %v; want the guest's verdict", v, fault)
	}
}
