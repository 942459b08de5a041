package wasm

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"switchyard/policy"
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

// The comparison of both engines needs memory for two more instances. If only one of them gets it,
// the engines do not disagree.
func TestWithoutMemoryForAnEngine(t *testing.T) {
	const child = "SWITCHYARD_TEST_NO_MEMORY_FOR_AN_ENGINE"
	if os.Getenv(child) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestWithoutMemoryForAnEngine$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	limits := DefaultLimits()
	limits.MemoryPages = 1 << 14 // 1 GiB for one instance
	e := newEngine(t, limits, nil)
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseUint(strings.Fields(string(statm))[5], 10, 64) // of data
	if err != nil {
		t.Fatal(err)
	}
	room := pages*uint64(os.Getpagesize()) + 5<<29 // for two instances and a half
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: room, Max: room}); err != nil {
		t.Fatal(err)
	}
	_, err = e.Load(t.Context(), "tenant-a", guest(t, "sound"), nil)
	var refused *GateError
	if !errors.As(err, &refused) || refused.Gate != GateEngines || refused.Remedy != moreMemory {
		t.Errorf("got %v; want a refusal at the engines gate for this process's limit", err)
	}
}

// A decision in a fresh instance is not the first to touch most of a large memory, because
// fuel does not pay for the page faults.
func TestLargeMemoryIsTouchedBefore(t *testing.T) {
	runtime.LockOSThread() // whose faults are counted
	defer runtime.UnlockOSThread()
	most := int64(untouched/os.Getpagesize()) + 500 // for the engine and the runtime
	e := newEngine(t, DefaultLimits(), nil)
	for _, name := range []string{"scatter", "fill_loop"} {
		p := load(t, e, name)
		s, err := p.claim(0)
		if err != nil {
			t.Fatal(err)
		}
		s.Release()
		var before, after unix.Rusage
		unix.Getrusage(unix.RUSAGE_THREAD, &before)
		_, err = p.Inspect(header, question(nil))
		unix.Getrusage(unix.RUSAGE_THREAD, &after)
		wantFault(t, err, policy.FaultFuel, "ran longer")
		if faults := after.Minflt - before.Minflt; faults > most {
			t.Errorf("%s: %d page faults in a decision, want at most %d", name, faults, most)
		}
	}
}

// An instance does not keep the pages of an earlier one that had a large memory.
func TestLargeMemoryIsGivenBack(t *testing.T) {
	g := newGrower(t, 0)
	g.batch(20, 0) // a guest that grows in its first decisions is not replaced for that
	before := g.p.slots[0].in
	g.batch(1, 200)
	g.wait()
	after := g.p.slots[0].in
	if after == before {
		t.Fatal("the instance was not replaced")
	}
	memory := after.linear.(*mapping).bytes
	resident := make([]byte, len(memory)/os.Getpagesize())
	if _, _, code := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&memory[0])), uintptr(len(memory)), uintptr(unsafe.Pointer(&resident[0]))); code != 0 {
		t.Fatal(code)
	}
	n := 0
	for _, state := range resident {
		n += int(state & 1)
	}
	if most := untouched / os.Getpagesize(); n > most {
		t.Errorf("%d pages of the next instance's memory are resident, want at most %d", n, most)
	}
}
