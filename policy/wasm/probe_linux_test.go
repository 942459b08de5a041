package wasm

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestWithoutExecutableMemory takes the right to make memory executable from a
// child process, as systemd's MemoryDenyWriteExecute does, and loads a policy
// there.
func TestWithoutExecutableMemory(t *testing.T) {
	const child = "SWITCHYARD_TEST_NO_EXECUTABLE_MEMORY"
	if os.Getenv(child) == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self, "-test.run=^TestWithoutExecutableMemory$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if strings.Contains(string(out), "--- SKIP") {
			t.Skip("this kernel has no PR_SET_MDWE (Linux 6.3)")
		}
		return
	}
	const prSetMDWE, refuseExecGain = 65, 1
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, prSetMDWE, refuseExecGain, 0, 0, 0, 0); errno != 0 {
		t.Skipf("prctl: %v", errno)
	}
	e := newEngine(t, DefaultLimits(), nil)
	if kind, why := e.Kind(); kind != Interpreter || !strings.Contains(why, "permission denied") || !strings.Contains(why, "MemoryDenyWriteExecute") {
		t.Errorf("got kind %q because %q, want an interpreter because permission is denied", kind, why)
	}
	p := load(t, e, "sound")
	if got, err := p.Inspect(header, question(nil)); err != nil || got != toSession(77) {
		t.Errorf("inspect: got %v, %v", got, err)
	}
	e.use(Compiler)
	_, err := e.Load(t.Context(), "tenant-a", guest(t, "trap"), nil)
	wantGate(t, err, GateCompile, "wazero panicked", "permission denied")
}
