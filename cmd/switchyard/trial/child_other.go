//go:build !linux

package trial

import (
	"os"
	"os/exec"
)

func program() (string, error) { return os.Executable() }

func confine(*exec.Cmd) {}

func keepDescriptors() {}

// limitProcess does nothing: other systems cannot limit the memory that a Go program maps. The
// process that started this one limits its time.
func limitProcess(_, _ uint64) error { return nil }

func addressesLimited() bool { return false }

func peakMemory(*os.ProcessState) uint64 { return 0 }
