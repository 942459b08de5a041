package wasm

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// The Explain functions return what Classify and Inspect do, for every guest of the tests
// that loads.
func TestExplainAgrees(t *testing.T) {
	names, err := filepath.Glob("testdata/*.wasm")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	e := newEngine(t, DefaultLimits(), nil)
	loaded := 0
	for _, name := range names {
		name = strings.TrimSuffix(filepath.Base(name), ".wasm")
		e.agreed.add(sumOf(guest(t, name), nil)) // TestEnginesAgreeOnGuests compares the engines
		p, err := e.Load(t.Context(), name, guest(t, name), nil)
		if err != nil {
			continue
		}
		loaded++
		v, err := p.Classify(pdu.SID_MSG, pdu.CID_MSG_DATA)
		agree(t, name, p.ExplainClassify(pdu.SID_MSG, pdu.CID_MSG_DATA), v, err)
		for _, byIDs := range []policy.Verdict{header, body, header | body} {
			// A guest that grows its memory is not pure: its second call may differ.
			if name == "grow" || name == "growing" || name == "table_grow" {
				continue
			}
			v, err := p.Inspect(byIDs, question(make([]byte, 20)))
			agree(t, name, p.ExplainInspect(byIDs, question(make([]byte, 20))), v, err)
		}
		for i := range p.slots {
			if p.slots[i].state.Load() == busy {
				t.Errorf("%s: slot %d was never given back", name, i)
			}
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if loaded < 10 {
		t.Errorf("only %d guests loaded", loaded)
	}
}

func agree(t *testing.T, name string, got Answer, v policy.Verdict, err error) {
	t.Helper()
	var fault *policy.Fault
	errors.As(err, &fault)
	if got.Verdict != v || (got.Fault == nil) != (fault == nil) || fault != nil && got.Fault.Kind != fault.Kind {
		t.Errorf("%s, %s: got %v, %v, want %v, %v", name, got.Export, got.Verdict, got.Fault, v, fault)
	}
}

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
