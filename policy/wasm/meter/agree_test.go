package meter

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// modest is enough for most of what is generated, and little enough to run the
// same without metering.
var modest = Limits{Fuel: 20_000, LoadFuel: 20_000, Depth: 500}

// agree runs a module rewritten and as it was, and holds that they do the same. What is not
// rewritten is interpreted, as the compiler would be wrong: see guard.go.
// What is rewritten goes first: only what came to an end there may run without
// limits. It returns how many calls were compared.
func agree(t *testing.T, config wazero.RuntimeConfig, original []byte) int {
	t.Helper()
	rewritten := mustRewrite(t, original, modest)
	one := wazero.NewRuntimeWithConfig(ctx, config.WithMemoryLimitPages(64))
	two := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(64))
	defer func() { _, _ = one.Close(ctx), two.Close(ctx) }()

	if _, err := two.CompileModule(ctx, original); err != nil {
		return 0 // invalid before, so it may be refused or not
	}
	if _, err := one.CompileModule(ctx, rewritten); err != nil {
		t.Fatalf("the rewritten module is refused: %v", err)
	}
	metered, err := one.Instantiate(ctx, rewritten)
	if err != nil {
		return 0
	}
	plain, err := two.Instantiate(ctx, original)
	if err != nil {
		t.Fatalf("instantiates only if rewritten: %v", err)
	}
	return agreeOnCalls(t, metered, plain)
}

func agreeOnCalls(t *testing.T, metered, plain api.Module) (compared int) {
	t.Helper()
	defer backstop(t)()
	for _, c := range callsOf(plain) {
		got, err := metered.ExportedFunction(c.name).Call(ctx, c.args...)
		if fuelLeft(metered) < 0 || depthLeft(metered) < 0 {
			return compared
		}
		want, wantErr := plain.ExportedFunction(c.name).Call(ctx, c.args...)
		compared++
		c.agree(t, got, err, want, wantErr)
		agreeOnState(t, metered, plain)
	}
	return compared
}

// An exportedCall is a call of an exported function.
type exportedCall struct {
	name    string
	args    []uint64
	results []api.ValueType
}

func (c exportedCall) String() string { return fmt.Sprintf("%s(%v)", c.name, c.args) }

// callsOf returns two calls of each exported function that takes integers, in the same order
// each time.
func callsOf(m api.Module) (calls []exportedCall) {
	functions := m.ExportedFunctionDefinitions()
	names := slices.Sorted(maps.Keys(functions))
	for turn := range 2 {
		for i, name := range names {
			if args, ok := arguments(functions[name], uint64(turn*1000+i)); ok {
				calls = append(calls, exportedCall{name, args, functions[name].ResultTypes()})
			}
		}
	}
	return calls
}

// agree holds that two ways to make the call have equal results.
func (c exportedCall) agree(t *testing.T, got []uint64, err error, want []uint64, wantErr error) {
	t.Helper()
	cutNarrow(c.results, got, want)
	if !slices.Equal(got, want) || reason(err) != reason(wantErr) {
		t.Fatalf("%v = %v, %q; want %v, %q", c, got, reason(err), want, reason(wantErr))
	}
}

// cutNarrow clears the upper half of each i32, which has no meaning.
func cutNarrow(types []api.ValueType, results ...[]uint64) {
	for _, result := range results {
		for i := range result {
			if types[i] == api.ValueTypeI32 {
				result[i] = uint64(uint32(result[i]))
			}
		}
	}
}

func arguments(f api.FunctionDefinition, seed uint64) ([]uint64, bool) {
	args := make([]uint64, len(f.ParamTypes()))
	for i, p := range f.ParamTypes() {
		args[i] = seed * uint64(i+1) % 77
		if p != api.ValueTypeI32 && p != api.ValueTypeI64 {
			return nil, false
		}
	}
	return args, true
}

// reason is the first line of an error: the rest names functions.
func reason(err error) string {
	if err == nil {
		return ""
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}

func agreeOnState(t *testing.T, metered, plain api.Module) {
	t.Helper()
	for i := range 10 {
		name := "g" + string(rune('0'+i))
		want, got := plain.ExportedGlobal(name), metered.ExportedGlobal(name)
		if want != nil && got.Get() != want.Get() {
			t.Fatalf("global %s is %d, want %d", name, got.Get(), want.Get())
		}
	}
	want, got := plain.ExportedMemory("memory"), metered.ExportedMemory("memory")
	if want == nil {
		return
	}
	wantBytes, _ := want.Read(0, want.Size())
	gotBytes, _ := got.Read(0, got.Size())
	if !bytes.Equal(gotBytes, wantBytes) {
		t.Fatalf("memories differ, of %d and %d bytes", len(gotBytes), len(wantBytes))
	}
}

func TestRewrittenAgrees(t *testing.T) {
	compared := 0
	for seed := range generatedModules {
		original := generate(uint64(seed))
		if err := valid(original); err != nil {
			t.Fatalf("seed %d: the generator made an invalid module: %v", seed, err)
		}
		compared += agree(t, wazero.NewRuntimeConfig(), original)
	}
	t.Logf("%d calls compared", compared)
	if compared < generatedModules {
		t.Errorf("only %d calls of %d modules ended and could be compared", compared, generatedModules)
	}
}

// valid validates a module. The interpreter does that as the compiler does, and faster.
func valid(module []byte) error {
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer rt.Close(ctx)
	_, err := rt.CompileModule(ctx, module)
	return err
}
