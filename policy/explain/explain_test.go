package explain

import (
	"os"
	"testing"

	"switchyard/pdu"
	"switchyard/plugins/teamtalk"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm"
)

func load(t *testing.T, module []byte) *wasm.Policy {
	t.Helper()
	e := wasm.NewEngine(wasm.DefaultLimits(), nil)
	p, err := e.Load(t.Context(), "test", module, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(); e.Close() })
	return p
}

func question(s pdu.ServiceID, c pdu.CommandID, body []byte) policy.Question {
	whole := pdu.Append(nil, s, c, 0, body)
	return policy.Question{Header: whole[:pdu.HeaderLen], Body: whole[pdu.HeaderLen:], Session: 5}
}

func guest(t *testing.T, name string) []byte {
	t.Helper()
	module, err := os.ReadFile("../wasm/testdata/" + name + ".wasm")
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func TestExplain(t *testing.T) {
	table, sound, trap := load(t, teamtalk.Module), load(t, guest(t, "sound")), load(t, guest(t, "trap"))

	e := Explain(table, question(pdu.SID_MSG, pdu.CID_MSG_DATA, nil))
	if e.Verdict != abi.BroadcastExceptSender || !e.Remembered || e.Inspection != nil || e.Fault != nil || e.ByIDs.Fuel == 0 {
		t.Errorf("by ids: %+v", e)
	}
	if e := Explain(table, question(9, 0x0900, nil)); e.Remembered || e.Verdict != abi.Drop|abi.Log {
		t.Errorf("ids that nobody has: %+v", e)
	}
	e = Explain(sound, question(pdu.SID_SWITCH_SERVICE, pdu.CID_SWITCH_P2P_CMD, []byte{1, 2}))
	if e.Inspection == nil || e.Inspection.Export != abi.InspectBody || e.Verdict.Argument() != 3 || e.ByIDs.Verdict != abi.InspectBodyOf|abi.BroadcastExceptSender {
		t.Errorf("by body: %+v", e)
	}
	e = Explain(trap, question(pdu.SID_MSG, pdu.CID_MSG_DATA, nil))
	if e.Fault == nil || e.Fault.Kind != policy.FaultTrap || e.Verdict != abi.BroadcastExceptSender {
		t.Errorf("trap: %+v", e)
	}
}

// What is explained is what a generation decides.
func TestExplainAgreesWithGeneration(t *testing.T) {
	for _, name := range []string{"sound", "trap", "asks_again", "endless_loop", "no_room", "exit"} {
		p := load(t, guest(t, name))
		g := policy.NewGeneration(name, "", kept{p})
		for _, c := range []pdu.CommandID{pdu.CID_MSG_DATA, pdu.CID_SWITCH_P2P_CMD, pdu.CID_MSG_READ_NOTIFY, 0x0999} {
			q := question(pdu.SID_MSG, c, make([]byte, 30))
			want, fault := g.Judge(append(q.Header[:pdu.HeaderLen:pdu.HeaderLen], q.Body...), q.Session, q.Attributes)
			e := Explain(p, q)
			if e.Verdict != want || (e.Fault == nil) != (fault == nil) || fault != nil && e.Fault.Kind != fault.Kind {
				t.Errorf("%s, %v: got %v, %v, want %v, %v", name, c, e.Verdict, e.Fault, want, fault)
			}
		}
	}
}

type kept struct{ policy.Policy }

func (kept) Close() error { return nil }
