package meter

import (
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// sameOnEngines runs all functions of a rewritten module, compiled and interpreted, and
// holds that both engines return the same, use the same fuel, and leave the same memory and
// globals. It returns how many calls were compared.
func sameOnEngines(t *testing.T, rewritten []byte) (compared int) {
	t.Helper()
	var on [2]api.Module
	for i, config := range []wazero.RuntimeConfig{wazero.NewRuntimeConfigCompiler(), wazero.NewRuntimeConfigInterpreter()} {
		rt := wazero.NewRuntimeWithConfig(ctx, config.WithMemoryLimitPages(64))
		defer rt.Close(ctx)
		m, err := rt.Instantiate(ctx, rewritten)
		if err != nil {
			return 0
		}
		on[i] = m
	}
	compiled, interpreted := on[0], on[1]
	functions := compiled.ExportedFunctionDefinitions()
	names := make([]string, 0, len(functions))
	for name := range functions {
		names = append(names, name)
	}
	slices.Sort(names)
	for turn := range 2 {
		for i, name := range names {
			args, ok := arguments(functions[name], uint64(turn*1000+i))
			if !ok {
				continue
			}
			stop := backstop(t)
			got, err := compiled.ExportedFunction(name).Call(ctx, args...)
			stop()
			want, wantErr := interpreted.ExportedFunction(name).Call(ctx, args...)
			compared++
			cutNarrow(functions[name].ResultTypes(), got, want)
			if !slices.Equal(got, want) || reason(err) != reason(wantErr) {
				t.Fatalf("%s(%v) = %v, %q; interpreted %v, %q", name, args, got, reason(err), want, reason(wantErr))
			}
			if fuelLeft(compiled) != fuelLeft(interpreted) || depthLeft(compiled) != depthLeft(interpreted) {
				t.Fatalf("%s(%v) leaves %d units of fuel, interpreted %d", name, args, fuelLeft(compiled), fuelLeft(interpreted))
			}
			agreeOnState(t, compiled, interpreted)
		}
	}
	return compared
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

func TestEnginesAgree(t *testing.T) {
	compared := 0
	for seed := range generatedModules {
		compared += sameOnEngines(t, mustRewrite(t, generate(uint64(seed)), modest))
	}
	if compared < generatedModules {
		t.Errorf("only %d calls of %d modules were compared", compared, generatedModules)
	}
}

func FuzzEngines(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(2000 + seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { sameOnEngines(t, mustRewrite(t, generate(seed), modest)) })
}
