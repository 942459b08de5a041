package tomlpos

import (
	"errors"
	"fmt"
	"slices"

	"switchyard/policy/sanitize"
)

// An Error is one fault of a file, and what to do about it.
type Error struct {
	Name   string // of the file
	Line   int    // from 1
	What   string
	Remedy string
}

// Error returns one harmless line.
func (e *Error) Error() string {
	return sanitize.Text(sanitize.Shorten(fmt.Sprintf("%s:%d: %s; %s", e.Name, e.Line, e.What, e.Remedy)))
}

// Errors is every fault of a file.
type Errors []*Error

// Error returns one line for each fault.
func (e Errors) Error() string { return errors.Join(e.Unwrap()...).Error() }

// Unwrap returns the faults, each an *Error.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, fault := range e {
		errs[i] = fault
	}
	return errs
}

// Sort puts the faults in the order of their lines.
func (e Errors) Sort() {
	slices.SortStableFunc(e, func(a, b *Error) int { return a.Line - b.Line })
}
