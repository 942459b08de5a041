// Command names writes the names of the services and commands in package pdu into the
// SDK of every language. It writes nothing else. Run it with
//
//	go generate ./plugins/sdk/names
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

//go:generate go run . ..

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: names PLUGINS/SDK")
		os.Exit(64)
	}
	for _, f := range files {
		if err := f.write(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, "names:", err)
			os.Exit(1)
		}
	}
}

// write writes f below dir, whole or not at all.
func (f file) write(dir string) error {
	text, err := f.text()
	if err != nil {
		return err
	}
	full := filepath.Join(dir, filepath.FromSlash(f.path))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	fresh := full + ".new"
	if err := os.WriteFile(fresh, text, 0o644); err != nil {
		return err
	}
	return os.Rename(fresh, full)
}
