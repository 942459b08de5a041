package conformance

import (
	"testing"

	"switchyard/policy"
	"switchyard/policy/abi"
)

func TestReadVerdictReadsWhatIsPrinted(t *testing.T) {
	for _, v := range []policy.Verdict{
		0, abi.Log, abi.Consume, 3<<abi.ArgumentShift | abi.Handle, abi.Unicast, 7<<abi.ArgumentShift | abi.ToSession<<abi.SelectorShift | abi.Unicast,
		0xffffffff<<abi.ArgumentShift | abi.ToUser<<abi.SelectorShift | abi.Unicast | abi.NotSender,
		6<<abi.ArgumentShift | abi.ToFields<<abi.SelectorShift | abi.Unicast | abi.NotSender | abi.ElseBroadcast,
		abi.ToMaster<<abi.SelectorShift | abi.Unicast, abi.BroadcastExceptSender | abi.InspectBodyOf, abi.BroadcastAll | abi.InspectHeader | abi.Log, abi.Close,
	} {
		if got, err := readVerdict(v.String()); err != nil || got != v {
			t.Errorf("%v: got %v, %v", v, got, err)
		}
	}
	for _, text := range []string{"", ",", "drops", "handle", "handle nobody", "unicast", "unicast nobody", "unicast user", "unicast user x", "unicast fields 32", "drop, twice", "drop,log"} {
		if v, err := readVerdict(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, v)
		}
	}
}

func TestReadBody(t *testing.T) {
	for text, want := range map[string]string{"": "", "08 e907": "\x08\xe9\x07", "0102*2 03*0 04*3": "\x01\x02\x01\x02\x04\x04\x04"} {
		if got, err := readBody(text); err != nil || string(got) != want {
			t.Errorf("%q: got %x, %v", text, got, err)
		}
	}
	for _, text := range []string{"0", "0x", "00*", "00*-1", "00*x"} {
		if got, err := readBody(text); err == nil {
			t.Errorf("%q: got %x, want an error", text, got)
		}
	}
}

func TestReadKnowsItsExamples(t *testing.T) {
	if _, err := Read("tabel"); err == nil || err.Error() != `there is no example "tabel"; there are configured, limit, single, table` {
		t.Errorf("got %v", err)
	}
}
