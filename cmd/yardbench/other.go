//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "yardbench: this needs Linux, for epoll and /proc; run it there")
	os.Exit(70)
}
