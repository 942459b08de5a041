//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// An environment says where and when figures were measured.
type environment struct {
	date    string
	machine string
	command string
}

// describe describes this machine and this moment, for the head of a table: without that, nobody
// could repeat the measurement or explain other figures.
func describe(ctx context.Context, root string) environment {
	compiler, err := tool(ctx, root, "go", "env", "GOVERSION")
	if err != nil {
		compiler = runtime.Version()
	}
	return environment{
		date:    time.Now().UTC().Format(time.DateOnly),
		machine: fmt.Sprintf("%d × %s, Linux %s, %s, loopback TCP, the load generator on the same machine", runtime.NumCPU(), processor(), kernel(), compiler),
		command: strings.Join(append([]string{"go -C cmd/yardbench run ."}, os.Args[1:]...), " "),
	}
}

// processor returns the name of the machine's processors.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if name, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "of an unknown version"
	}
	return unix.ByteSliceToString(u.Release[:])
}
