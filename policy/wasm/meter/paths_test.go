package meter

import (
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// TestChargesCoverRuns holds that the fuel of a call pays for all sections that it runs.
func TestChargesCoverRuns(t *testing.T) {
	compared := 0
	for seed := range 2 * generatedModules {
		compared += covered(t, generate(uint64(seed)))
	}
	t.Logf("%d calls compared", compared)
	if compared < generatedModules {
		t.Errorf("only %d calls ended and could be compared", compared)
	}
}

// covered runs a module rewritten and with a charge at each mark for its own section alone, which
// adds up what runs. It holds that a call never uses less fuel. It returns how many calls were
// compared. Both are interpreted, as compiling takes longer.
func covered(t *testing.T, original []byte) (compared int) {
	t.Helper()
	var on [2]api.Module
	for i, module := range [][]byte{mustRewrite(t, original, modest), addingUp(t, original)} {
		rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(64))
		defer rt.Close(ctx)
		m, err := rt.Instantiate(ctx, module)
		if err != nil {
			return 0
		}
		on[i] = m
	}
	metered, adding := on[0], on[1]
	defer backstop(t)()
	for _, c := range callsOf(metered) {
		_, err := metered.ExportedFunction(c.name).Call(ctx, c.args...)
		if fuelLeft(metered) < 0 || depthLeft(metered) < 0 {
			return compared
		}
		if _, err2 := adding.ExportedFunction(c.name).Call(ctx, c.args...); reason(err2) != reason(err) {
			t.Fatalf("%v: %v, adding up %v", c, err, err2)
		}
		if err != nil {
			continue // a function that traps has not written its fuel back
		}
		used, ran := int64(modest.Fuel)-fuelLeft(metered), int64(ample.Fuel)-fuelLeft(adding)
		if compared++; used*weightPerUnit < ran {
			t.Fatalf("%v used %d units, but instructions of %d units ran", c, used, ran/weightPerUnit)
		}
	}
	return compared
}

// addingUp rewrites a module so that the fuel of a call is the weight of all sections that it
// runs: each mark pays for itself, and branches to loops and lengths for nothing.
func addingUp(t *testing.T, original []byte) []byte {
	t.Helper()
	m, err := parse(original)
	if err != nil {
		t.Fatal(err)
	}
	m.referenced = append(m.referenced, make([]bool, len(m.funcs)-len(m.referenced))...)
	for i := range m.bodies {
		b := body{m: m, r: m.bodies[i], sig: m.types[m.funcs[m.imported+i]]}
		b.readLocals()
		if b.readCode(); b.r.Err != nil {
			t.Fatal(b.r.Err)
		}
		for i := range b.marks {
			k := &b.marks[i]
			k.payer, k.reached, k.most = int32(i), true, cost{weight: k.weight * weightPerUnit}
		}
		b.backs, b.lengths, b.tight = nil, nil, false
		m.metered = append(m.metered, b.function())
	}
	return m.encode(ample)
}
