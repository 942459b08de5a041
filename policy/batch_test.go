package policy

import (
	"testing"

	"switchyard/pdu"
	"switchyard/policy/abi"
)

// A keeper is a policy with one instance. A call while the instance is reserved would
// wait for ever in production; here it fails the test.
type keeper struct {
	t                   *testing.T
	reserved            bool
	reserves, questions int
	err                 error // of Inspect
}

func (k *keeper) Classify(_ pdu.ServiceID, c pdu.CommandID) (Verdict, error) {
	if k.reserved {
		k.t.Error("asked by ids while the one instance is reserved")
	}
	if c == pdu.CID_MSG_DATA || c >= 0x7000 {
		return abi.Consume | abi.InspectHeader, nil
	}
	return abi.BroadcastAll, nil
}

func (k *keeper) Inspect(Verdict, Question) (Verdict, error) {
	k.t.Error("asked one by one")
	return 0, nil
}

func (k *keeper) Reserve(session uint64) (Reserved, error) {
	if k.reserved || session != 7 {
		k.t.Errorf("reserved for session %d, want 7; reserved already: %v", session, k.reserved)
	}
	k.reserves++
	k.reserved = true
	return (*keptInstance)(k), nil
}

func (k *keeper) Close() error { return nil }

type keptInstance keeper

func (k *keptInstance) Inspect(byIDs Verdict, q Question) (Verdict, error) {
	if !k.reserved || q.Attributes != 1 || len(q.Header) != pdu.HeaderLen || byIDs != abi.Consume|abi.InspectHeader {
		k.t.Errorf("asked about %v, %+v; reserved: %v", byIDs, q, k.reserved)
	}
	k.questions++
	return abi.BroadcastExceptSender, k.err
}

func (k *keptInstance) Release() {
	if !k.reserved {
		k.t.Error("released twice")
	}
	k.reserved = false
}

// A batch reserves an instance when it first inspects a PDU, keeps it for the following
// ones, and gives it back before it calls Classify.
func TestBatch(t *testing.T) {
	k := &keeper{t: t}
	g := NewGeneration("kept", "", k)
	h := g.Begin(7, 1, nil)
	inspected := pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 0, nil)
	judge := func(p []byte, want Verdict) {
		t.Helper()
		if v, fault := h.Judge(p); v != want || fault != nil {
			t.Errorf("%v, %v; want %v", v, fault, want)
		}
	}
	judge(pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT, 0, nil), abi.BroadcastAll)
	if k.reserves != 0 {
		t.Error("reserved for what is not inspected")
	}
	for range 10 {
		judge(inspected, abi.BroadcastExceptSender)
	}
	if k.reserves != 1 || !k.reserved || k.questions != 10 {
		t.Errorf("reserved %d times for %d questions, want once for 10", k.reserves, k.questions)
	}
	for _, command := range []pdu.CommandID{0x7001, 0x7002} { // unknown and outside the memo
		judge(pdu.Append(nil, 0x7777, command, 0, nil), abi.BroadcastExceptSender)
	}
	if k.reserves != 3 || !k.reserved {
		t.Errorf("reserved %d times, want 3", k.reserves)
	}
	if n := testing.AllocsPerRun(100, func() { judge(inspected, abi.BroadcastExceptSender) }); n != 0 {
		t.Errorf("%v allocations for each, want 0", n)
	}
	h.Release()
	h.Release()
	if k.reserved {
		t.Error("reserved after Release")
	}
	judge(inspected, abi.BroadcastExceptSender)
	h.Release()

	k.err = &Fault{Kind: FaultTrap}
	if v, fault := g.Judge(inspected, 7, 1); v != abi.Consume || fault == nil || fault.Kind != FaultTrap {
		t.Errorf("%v, %v; want what the ids say, and the fault", v, fault)
	}
	if k.reserved {
		t.Error("still reserved after one judgement")
	}
}
