package meter

import (
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
	defer backstop(t)()
	for _, c := range callsOf(compiled) {
		got, err := compiled.ExportedFunction(c.name).Call(ctx, c.args...)
		want, wantErr := interpreted.ExportedFunction(c.name).Call(ctx, c.args...)
		compared++
		c.agree(t, got, err, want, wantErr)
		if fuelLeft(compiled) != fuelLeft(interpreted) || depthLeft(compiled) != depthLeft(interpreted) {
			t.Fatalf("%v leaves %d units of fuel, interpreted %d", c, fuelLeft(compiled), fuelLeft(interpreted))
		}
		agreeOnState(t, compiled, interpreted)
	}
	return compared
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
