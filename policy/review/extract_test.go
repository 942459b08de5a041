package review

import (
	"reflect"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
)

// ranged is a policy that answers for ranges. It notes which pairs of ids it was asked about.
type ranged struct {
	*policytest.Policy
	asked map[policy.IDs]int
}

func (p ranged) ClassifyRange(s pdu.ServiceID, first pdu.CommandID, verdicts []policy.Verdict) (int, error) {
	for i := range verdicts {
		p.asked[policy.IDs{Service: s, Command: first + pdu.CommandID(i)}]++
	}
	return oneByOne{p.Policy}.ClassifyRange(s, first, verdicts)
}

// If two answers are equally frequent, all other unknown commands have that of the lowest id.
func TestEquallyFrequentAnswers(t *testing.T) {
	first, second := answer{verdict: abi.Consume}, answer{verdict: abi.Drop}
	table := &Table{segments: []segment{{0, []answer{first}}, {1, []answer{second}}}}
	if got := table.most(0, []int{5, 5}); got != first {
		t.Errorf("got %v, want %v", got, first)
	}
}

// A policy that answers for ranges has the table of one that does not, also where it fails in the
// middle of a range.
func TestRangesMakeTheSameTable(t *testing.T) {
	p := ranged{&policytest.Policy{OnClassify: func(s pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
		switch {
		case c == 0x0915, c == 0x093f && s == pdu.SID_FILE, c == pdu.CID_MSG_DATA && s == pdu.SID_OTHER:
			return 0, policytest.Trap("unreachable")
		case c >= 0x0910 && c <= 0x0970, c == 0xffff:
			return abi.Consume, nil
		}
		return abi.Drop, nil
	}}, make(map[policy.IDs]int)}
	got := NewQuestions(nil, p).Extract(t.Context(), p)
	want := NewQuestions(nil, p.Policy).Extract(t.Context(), p.Policy)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", lines(got), lines(want))
	}
	wantLines(t, lines(got),
		"SID_OTHER CID_MSG_DATA: drop (trap)",
		"any 0x0910-0x0914: consume",
		"any 0x0915: drop (trap)",
		"any 0x0916-0x093e: consume",
		"any but SID_FILE 0x093f: consume",
		"SID_FILE 0x093f: drop (trap)",
		"any 0x0940-0x0970: consume",
		"any 0xffff: consume",
		"any else: drop")
	if n := len(p.asked); n != 12<<16 {
		t.Errorf("asked about %d pairs of ids, want %d", n, 12<<16)
	}
}
