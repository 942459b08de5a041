package wasm

import (
	"testing"

	"switchyard/pdu"
	"switchyard/plugins/teamtalk"
	"switchyard/policy"
	"switchyard/policy/abi"
)

func TestExplain(t *testing.T) {
	e := newEngine(t, DefaultLimits(), nil)
	table, sound, trap := loadModule(t, e, "teamtalk", teamtalk.Module, nil), load(t, e, "sound"), load(t, e, "trap")

	x := table.Explain(questionOf(pdu.SID_MSG, pdu.CID_MSG_DATA, nil))
	if x.Verdict != abi.BroadcastExceptSender || !x.Remembered || x.Inspection != nil || x.Fault != nil || x.ByIDs.Fuel == 0 {
		t.Errorf("by ids: %+v", x)
	}
	if x := table.Explain(questionOf(9, 0x0900, nil)); x.Remembered || x.Verdict != abi.Drop|abi.Log {
		t.Errorf("ids that nobody has: %+v", x)
	}
	x = sound.Explain(questionOf(pdu.SID_SWITCH_SERVICE, pdu.CID_SWITCH_P2P_CMD, []byte{1, 2}))
	if x.Inspection == nil || x.Inspection.Export != abi.InspectBody || x.Verdict.Argument() != 3 || x.ByIDs.Verdict != abi.InspectBodyOf|abi.BroadcastExceptSender {
		t.Errorf("by body: %+v", x)
	}
	x = trap.Explain(questionOf(pdu.SID_MSG, pdu.CID_MSG_DATA, nil))
	if x.Fault == nil || x.Fault.Kind != policy.FaultTrap || x.Verdict != abi.BroadcastExceptSender {
		t.Errorf("trap: %+v", x)
	}
}

// Explain decides as a generation does.
func TestExplainAgreesWithGeneration(t *testing.T) {
	engine := newEngine(t, DefaultLimits(), nil)
	for _, name := range []string{"sound", "trap", "asks_again", "endless_loop", "no_room", "exit"} {
		p := load(t, engine, name)
		g := policy.NewGeneration(name, "", kept{p})
		for _, c := range []pdu.CommandID{pdu.CID_MSG_DATA, pdu.CID_SWITCH_P2P_CMD, pdu.CID_MSG_READ_NOTIFY, 0x0999} {
			q := questionOf(pdu.SID_MSG, c, make([]byte, 30))
			want, fault := g.Judge(append(q.Header[:pdu.HeaderLen:pdu.HeaderLen], q.Body...), q.Session, q.Attributes)
			e := p.Explain(q)
			if e.Verdict != want || (e.Fault == nil) != (fault == nil) || fault != nil && e.Fault.Kind != fault.Kind {
				t.Errorf("%s, %v: got %v, %v, want %v, %v", name, c, e.Verdict, e.Fault, want, fault)
			}
		}
	}
}

type kept struct{ policy.Policy }

func (kept) Close() error { return nil }

func questionOf(s pdu.ServiceID, c pdu.CommandID, body []byte) policy.Question {
	whole := pdu.Append(nil, s, c, 0, body)
	return policy.Question{Header: whole[:pdu.HeaderLen], Body: whole[pdu.HeaderLen:], Session: 5}
}
