package trial

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestProgramIsRemoved starts this test's program again.
const startedAs = "SWITCHYARD_TEST_STARTED_AS"

// A child starts although the program on disk was removed.
func TestProgramIsRemoved(t *testing.T) {
	if os.Getenv(startedAs) == "removed" {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(exe); err != nil {
			t.Fatal(err)
		}
		if report, err := New().Try(t.Context(), trialOf(module(broadcast))); err != nil || report.Refusal != nil {
			t.Errorf("got %+v, %v", report, err)
		}
		return
	}
	content, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(t.TempDir(), "switchyard")
	if err := os.WriteFile(exe, content, 0o700); err != nil {
		t.Fatal(err)
	}
	again(t, exe, "removed")
}

// Children do not inherit the descriptors that this process has inherited.
func TestDescriptorsStayHere(t *testing.T) {
	fd, err := unix.Dup(0) // stays open across exec, as an inherited one does
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	keepDescriptors()
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v; want FD_CLOEXEC", flags, err)
	}
}

func again(t *testing.T, exe, as string) {
	t.Helper()
	cmd := exec.Command(exe, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), startedAs+"="+as)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
