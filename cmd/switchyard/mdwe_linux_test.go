package main

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// withoutExecutableMemory makes the test's own program give up the right to make memory
// executable, before it becomes switchyard: as systemd's MemoryDenyWriteExecute has it.
const withoutExecutableMemory = "TEST_WITHOUT_EXECUTABLE_MEMORY"

func init() {
	if os.Getenv(withoutExecutableMemory) == "" || os.Getenv(asCommand) == "" {
		return
	}
	if err := unix.Prctl(unix.PR_SET_MDWE, unix.PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "prctl(PR_SET_MDWE), which Linux has since 6.3:", err)
		os.Exit(exitInternal)
	}
}

// Why the unit does not set MemoryDenyWriteExecute, and what an operator sees who does:
// peers are served, the log says at what price.
func TestServeWithoutExecutableMemory(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	p.expect("wasm engine", `"kind":"compiler"`)

	cmd := exec.Command(executable(t), "--listen", "127.0.0.1:0", "--set", "log.format=json")
	cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), withoutExecutableMemory+"=1")
	p = startCommand(t, cmd)
	l := p.expect("wasm engine", `"kind":"interpreter"`, "permission denied", "MemoryDenyWriteExecute")
	t.Log(l.text())
	a, b := p.dial(), p.dial()
	sent := pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte("hello"))
	a.say(sent)
	b.expect(sent)
}
