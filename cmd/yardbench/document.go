//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// What is between these lines of a document is written by compare.
const (
	beginMarker = "<!-- yardbench begins -->"
	endMarker   = "<!-- yardbench ends -->"
)

// insert writes text between the markers of a document and leaves the rest as it is, so that people
// can write about the figures around them. A document that is not there, or empty, gets both.
func insert(name, text string) error {
	old, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read document: %w", err)
	}
	if len(old) == 0 {
		old = []byte("# Benchmarks\n\n" + beginMarker + "\n" + endMarker + "\n")
	}
	fresh, err := replaceBetween(string(old), text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := os.WriteFile(name, []byte(fresh), 0o644); err != nil {
		return fmt.Errorf("write document: %w", err)
	}
	return nil
}

// replaceBetween replaces the lines between the markers. The markers stay for the next time.
func replaceBetween(document, text string) (string, error) {
	before, rest, begins := strings.Cut(document, beginMarker+"\n")
	_, after, ends := strings.Cut(rest, endMarker)
	if !begins || !ends {
		return "", fmt.Errorf("has no place for the table; write the lines %q and %q where it belongs", beginMarker, endMarker)
	}
	return before + beginMarker + "\n" + text + endMarker + after, nil
}
