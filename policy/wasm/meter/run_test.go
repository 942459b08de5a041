package meter

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

var ctx = context.Background()

// ample is what no honest guest of the tests runs out of.
var ample = Limits{Fuel: 1 << 40, LoadFuel: 1 << 40, Depth: 1 << 16}

// tight is what hostile guests are held to.
var tight = Limits{Fuel: 100_000, LoadFuel: 100_000, Depth: 1000}

func mustRewrite(t testing.TB, module []byte, l Limits) []byte {
	t.Helper()
	out, err := Rewrite(module, l)
	if err != nil {
		t.Fatalf("Rewrite: %v", err)
	}
	return out.Module
}

func newRuntime(t testing.TB) wazero.Runtime {
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryLimitPages(256))
	t.Cleanup(func() { _ = rt.Close(ctx) })
	return rt
}

// instantiate runs a module as it is.
func instantiate(t testing.TB, module []byte) api.Module {
	t.Helper()
	m, err := newRuntime(t).Instantiate(ctx, module)
	if err != nil {
		t.Fatalf("Instantiate: %v", err)
	}
	return m
}

func fuelLeft(m api.Module) int64  { return int64(m.ExportedGlobal(FuelExport).Get()) }
func depthLeft(m api.Module) int32 { return api.DecodeI32(m.ExportedGlobal(DepthExport).Get()) }
