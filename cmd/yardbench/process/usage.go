//go:build linux

// Package process starts the servers to be measured, measures their CPU time and memory,
// and stops them.
package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// CPU returns the CPU time that a process has used so far, including all threads and
// system calls. It is the figure of /proc/PID/stat, not rounded to hundredths of a second.
func CPU(pid int) (time.Duration, error) {
	var t unix.Timespec
	// The id of the clock contains the process's number: see clock_getcpuclockid(3).
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return 0, fmt.Errorf("read CPU time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// OwnCPU returns the CPU time that this process has used so far.
func OwnCPU() (time.Duration, error) { return CPU(os.Getpid()) }

// Memory is the memory of a process.
type Memory struct {
	Resident int64 // bytes, now
	Peak     int64 // bytes, maximum so far
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
		return Memory{}, fmt.Errorf("%s has no memory: the process has ended", name)
	}
	return m, nil
}

// kibibytes returns, in bytes, the number of KiB after a word, or -1.
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

// Descriptors returns how many descriptors a process has open.
func Descriptors(pid int) (int64, error) { return entries(pid, "fd") }

// Threads returns how many threads a process has.
func Threads(pid int) (int64, error) { return entries(pid, "task") }

// entries counts what a folder of a process in /proc has.
func entries(pid int, folder string) (int64, error) {
	found, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", pid, folder))
	if err != nil {
		return 0, fmt.Errorf("count what process %d has: %w", pid, err)
	}
	return int64(len(found)), nil
}

// tick is the unit of /proc/stat on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// MachineCPU returns the CPU time that the whole machine has used so far. On a virtual
// machine, that includes the time that others used (steal).
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
