package wasm

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A guest that gets no memory because of a limit of this process is not what is wrong, and is
// not remembered as refused.
func TestWithoutAddressSpace(t *testing.T) {
	const child = "SWITCHYARD_TEST_NO_ADDRESS_SPACE"
	if os.Getenv(child) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestWithoutAddressSpace$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	limits := DefaultLimits()
	limits.MemoryPages = 1 << 16 // 4 GiB for one instance
	e := newEngine(t, limits, nil)
	var unlimited unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &unlimited); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: 4 << 30, Max: unlimited.Max}); err != nil {
		t.Fatal(err)
	}
	_, err := e.Load(t.Context(), "tenant-a", guest(t, "sound"), nil)
	var refused *GateError
	if !errors.As(err, &refused) || refused.Gate != GateInstantiate || !strings.Contains(err.Error(), "cannot allocate memory") || !strings.Contains(refused.Remedy, "ulimit -v") {
		t.Errorf("got %v; want a refusal at the instantiate gate for this process's limit", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_AS, &unlimited); err != nil {
		t.Fatal(err)
	}
	loadModule(t, e, "tenant-a", guest(t, "sound"), nil)
}
