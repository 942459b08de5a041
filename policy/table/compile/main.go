// Command compile compiles a routing table to a WASM policy, for go:generate
// lines:
//
//	go run switchyard/policy/table/compile TABLE MODULE
//
// It exits with 64 for other arguments, and with 65 if it cannot write the module, for
// example because of faults of the table, which it lists. It replaces an existing module
// as a whole or not at all.
package main

import (
	"fmt"
	"os"

	"switchyard/policy/table"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: compile TABLE MODULE")
		os.Exit(64)
	}
	if err := compile(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(65)
	}
}

func compile(from, to string) error {
	src, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	module, err := table.Compile(from, src)
	if err != nil {
		return err
	}
	temporary := to + ".new"
	err = os.WriteFile(temporary, module, 0o644)
	if err == nil {
		err = os.Rename(temporary, to)
	}
	if err != nil {
		os.Remove(temporary)
	}
	return err
}
