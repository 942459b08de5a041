package native

import (
	"context"
	"testing"

	"switchyard/pdu"
	"switchyard/plugins/teamtalk"
	"switchyard/policy"
	"switchyard/policy/wasm"
)

// What is compared by its cost has to decide the same: every command there can be, under
// services that there are and one that is not.
func TestDecidesAsTheModule(t *testing.T) {
	e := wasm.NewEngine(wasm.DefaultLimits(), nil)
	defer e.Close()
	module, err := e.Load(context.Background(), teamtalk.Name, teamtalk.Module, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer module.Close()
	for _, service := range []pdu.ServiceID{0, pdu.SID_LOGIN, pdu.SID_BUDDY_LIST, pdu.SID_MSG, pdu.SID_OTHER, 0xffff} {
		for c := range 1 << 16 {
			want, err := module.Classify(service, pdu.CommandID(c))
			if err != nil {
				t.Fatal(err)
			}
			got, err := Table{}.Classify(service, pdu.CommandID(c))
			if err != nil || got != want {
				t.Fatalf("service %#04x, %v: got %v, %v, want %v", uint16(service), pdu.CommandID(c), got, err, want)
			}
		}
	}
}

// It costs what the memo costs, like the module: see the same benchmark of
// policy/wasm for what asking a guest each time does.
func BenchmarkJudge(b *testing.B) {
	e := wasm.NewEngine(wasm.DefaultLimits(), nil)
	defer e.Close()
	module, err := e.Load(context.Background(), teamtalk.Name, teamtalk.Module, nil)
	if err != nil {
		b.Fatal(err)
	}
	p := pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 1, make([]byte, 184))
	for name, of := range map[string]policy.Policy{"module": module, "native": Table{}} {
		b.Run(name, func(b *testing.B) {
			g := policy.NewGeneration(name, "", of)
			defer g.Release()
			b.ReportAllocs()
			for b.Loop() {
				g.Judge(p, 1, 0)
			}
		})
	}
}
