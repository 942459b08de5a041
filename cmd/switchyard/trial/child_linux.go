package trial

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// program returns the path of this program. It still leads to it when the file was replaced
// or removed.
func program() (string, error) {
	const self = "/proc/self/exe"
	if _, err := os.Stat(self); err == nil {
		return self, nil
	}
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w; mount /proc", err)
	}
	return path, nil
}

// confine makes the child end with the thread that starts it.
func confine(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// keepDescriptors keeps the descriptors that this process has inherited from its children. Go
// does so only for those that it opens.
func keepDescriptors() {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}

// limitProcess limits this process to so many bytes more than it has, and to so many seconds
// of CPU time.
func limitProcess(bytes, seconds uint64) error {
	data, err := dataBytes()
	if err != nil {
		return err
	}
	if err := lower(unix.RLIMIT_DATA, data+bytes); err != nil {
		return err
	}
	if err := lower(unix.RLIMIT_CORE, 0); err != nil {
		return err
	}
	return lower(unix.RLIMIT_CPU, seconds)
}

// addressesLimited reports whether the address space of this process, and so of its children, is
// limited.
func addressesLimited() bool {
	var l unix.Rlimit
	return unix.Getrlimit(unix.RLIMIT_AS, &l) == nil && l.Cur != unix.RLIM_INFINITY
}

// lower lowers a limit of this process; a lower one stays.
func lower(resource int, most uint64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(resource, &now); err != nil {
		return err
	}
	most = min(most, now.Max)
	return unix.Setrlimit(resource, &unix.Rlimit{Cur: most, Max: most})
}

// dataBytes returns how much of its limit RLIMIT_DATA this process uses.
func dataBytes() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("%w; mount /proc", err)
	}
	_, after, _ := bytes.Cut(status, []byte("\nVmData:"))
	line, _, _ := bytes.Cut(after, []byte("kB"))
	kib, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 10, 40)
	return kib << 10, err
}

// peakMemory returns the most bytes that a process which has ended had in RAM.
func peakMemory(ended *os.ProcessState) uint64 {
	return uint64(ended.SysUsage().(*syscall.Rusage).Maxrss) << 10
}
