package table

import (
	"fmt"
	"sort"
	"strings"
)

// An Error is one fault of a table, and what to do about it.
type Error struct {
	Name   string // of the table, as given to Parse
	Line   int    // from 1
	What   string
	Remedy string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s; %s", e.Name, e.Line, e.What, e.Remedy) }

// Errors is every fault of a table, in the order of lines.
type Errors []*Error

// Error returns one line for each fault.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, fault := range e {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults, each an *Error.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, fault := range e {
		errs[i] = fault
	}
	return errs
}

func (e Errors) sort() {
	sort.SliceStable(e, func(i, j int) bool { return e[i].Line < e[j].Line })
}
