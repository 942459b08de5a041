//go:build full || race

package wasm

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
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
