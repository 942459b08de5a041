package cases

import (
	"os"
	"testing"

	"switchyard/plugins/teamtalk"
	"switchyard/policy/wasm"
)

// The shipped cases of the default policy pass and cover all of its commands.
func TestCasesOfTheDefaultPolicy(t *testing.T) {
	const name = "../../plugins/teamtalk/cases.toml"
	src, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	cases, err := Parse(name, src)
	if err != nil {
		t.Fatal(err)
	}
	r := Run(t.Context(), teamtalk.Name, "", load(t, teamtalk.Module), cases)
	for _, result := range r.Results {
		if !result.Passed {
			t.Errorf("line %d, %s: %+v; got %+v", result.Line, result.Name, result.Mismatches, result.Got)
		}
	}
	if r.Passed != len(cases) || r.Failed != 0 || r.Coverage.Covered != 13 || r.Coverage.Ruled != 13 || len(r.Coverage.Missing) != 0 {
		t.Errorf("%d of %d passed, coverage %+v", r.Passed, len(cases), r.Coverage)
	}
}

func load(t testing.TB, module []byte) *wasm.Policy {
	t.Helper()
	e := wasm.NewEngine(wasm.DefaultLimits(), nil)
	p, err := e.Load(t.Context(), "test", module, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}
