//go:build linux

// Package process starts the servers that are measured, measures what they take of the
// machine, and stops them.
package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// CPU returns the CPU time that a process has taken so far, all its threads and their
// system calls included. It is what /proc/PID/stat shows, without being cut to
// hundredths of a second.
func CPU(pid int) (time.Duration, error) {
	var t unix.Timespec
	// The clock of a process has its number in it: see clock_getcpuclockid(3).
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return 0, fmt.Errorf("read CPU time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// OwnCPU returns the CPU time that this process has taken so far.
func OwnCPU() (time.Duration, error) { return CPU(os.Getpid()) }

// Memory is what a process holds of the machine's memory.
type Memory struct {
	Resident int64 // bytes, now
	Peak     int64 // bytes, at most so far
}

// MemoryOf returns the memory of a process.
func MemoryOf(pid int) (Memory, error) {
	name := fmt.Sprintf("/proc/%d/status", pid)
	text, err := os.ReadFile(name)
	if err != nil {
		return Memory{}, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	m := Memory{Resident: kibibytes(text, "VmRSS:"), Peak: kibibytes(text, "VmHWM:")}
	if m.Resident < 0 || m.Peak < 0 {
		return Memory{}, fmt.Errorf("%s tells no memory: the process has ended", name)
	}
	return m, nil
}

// kibibytes returns, in bytes, the number behind a word, or -1.
func kibibytes(text []byte, word string) int64 {
	_, rest, found := bytes.Cut(text, []byte(word))
	fields := bytes.Fields(rest[:min(len(rest), 64)])
	if !found || len(fields) == 0 {
		return -1
	}
	n, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return -1
	}
	return n << 10
}

// tick is the unit of /proc/stat on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// MachineCPU returns the CPU time that all of the machine has taken so far, or what of
// the machine others took, if it is one of several on the same processors.
func MachineCPU() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("read CPU time of the machine: %w", err)
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 9 || string(fields[0]) != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %.40q, want the sums of all processors", line)
	}
	sum := time.Duration(0)
	for i, f := range fields[1:9] { // user, nice, system, idle, iowait, irq, softirq, steal
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		if i != 3 && i != 4 {
			sum += time.Duration(n) * tick
		}
	}
	return sum, nil
}
