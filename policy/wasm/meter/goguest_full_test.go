//go:build full

package meter

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// goGuest builds testdata/goguest.
func goGuest(t testing.TB) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-buildmode=c-shared", "-o", out, "./testdata/goguest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the guest: %v\n%s", err, text)
	}
	module, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// TestGoGuest holds that a guest of stock Go, with its scheduler, collector and
// encoding/json, runs within the limits that Limits proposes, and is stopped
// where it does not come to an end. It is interpreted, as compiling it takes
// longer than all other tests.
func TestGoGuest(t *testing.T) {
	limits := Limits{Fuel: 50_000_000, LoadFuel: 50_000_000, Depth: 1000}
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(256))
	t.Cleanup(func() { _ = rt.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, rt)
	m, err := rt.InstantiateWithConfig(ctx, mustRewrite(t, goGuest(t), limits),
		wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		args []uint64
		want int64
		fuel int64 // at most
	}{
		{"_initialize", nil, 0, 500_000},
		{"classify", []uint64{7, 0x0301}, 4, 100},
		{"classify", []uint64{7, 0x0302}, 0, 100},
		{"parse", nil, 121, 1_000_000},
		{"parse", nil, 121, 300_000},
	} {
		got, err := m.ExportedFunction(tc.name).Call(ctx, tc.args...)
		if err != nil {
			t.Fatalf("%s: %v; fuel %d, depth %d left", tc.name, err, fuelLeft(m), depthLeft(m))
		}
		if len(got) > 0 && int64(got[0]) != tc.want {
			t.Errorf("%s returned %d, want %d", tc.name, int64(got[0]), tc.want)
		}
		used := int64(limits.Fuel) - fuelLeft(m)
		t.Logf("%s: %d units of fuel", tc.name, used)
		if used > tc.fuel || depthLeft(m) != 1000 {
			t.Errorf("%s took %d units of fuel, and %d units of depth are left", tc.name, used, depthLeft(m))
		}
	}
	m.ExportedGlobal(BudgetExport).(api.MutableGlobal).Set(1_000_000)
	if err := stops(t, m, "spin"); err == nil || fuelLeft(m) >= 0 {
		t.Errorf("spin: err %v, fuel left %d", err, fuelLeft(m))
	}
}

func BenchmarkRewriteGoGuest(b *testing.B) {
	module := goGuest(b)
	b.SetBytes(int64(len(module)))
	b.ReportAllocs()
	for b.Loop() {
		mustRewrite(b, module, ample)
	}
}
