package wasm

import (
	"slices"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

func TestFuelOfACall(t *testing.T) {
	e := newEngine(t, DefaultLimits(), nil)
	sound := load(t, e, "sound")
	classify := sound.ExplainClassify(pdu.SID_MSG, pdu.CID_MSG_DATA)
	if classify.Fuel == 0 || classify.Fuel > 10 || classify.Export != abi.Classify || classify.Memory != 3<<16 {
		t.Errorf("classify: %+v, want some units of fuel and three pages", classify)
	}
	small := sound.ExplainInspect(body, question(make([]byte, 10)))
	large := sound.ExplainInspect(body, question(make([]byte, 1000)))
	if small.Fuel == 0 || large.Fuel < small.Fuel+900/16 || large.Export != abi.InspectBody {
		t.Errorf("summing 10 bytes took %d units, 1000 bytes %d", small.Fuel, large.Fuel)
	}
	endless := load(t, e, "endless_loop").ExplainInspect(header, question(nil))
	if endless.Fuel != DefaultLimits().Fuel || endless.Fault == nil || endless.Fault.Kind != policy.FaultFuel {
		t.Errorf("an endless loop used %d units, fault %v", endless.Fuel, endless.Fault)
	}
	trap := load(t, e, "trap")
	if a := trap.ExplainInspect(header, question(nil)); a.Fault == nil || instances(trap) != 0 {
		t.Errorf("after a trap the instance lives on: %+v", a)
	}
	lacks := load(t, e, "trap").ExplainInspect(body, question(nil))
	if lacks.Fuel != 0 || lacks.Fault == nil || lacks.Memory != 0 {
		t.Errorf("an export that is not there: %+v", lacks)
	}
}

func TestExports(t *testing.T) {
	e := newEngine(t, DefaultLimits(), nil)
	for name, want := range map[string][]string{
		"sound": {abi.Classify, abi.Inspect, abi.InspectBody, abi.Buffer, abi.Configure},
		"trap":  {abi.Classify, abi.Inspect},
	} {
		if got := load(t, e, name).Exports(); !slices.Equal(got, want) {
			t.Errorf("%s exports %v, want %v", name, got, want)
		}
	}
}
