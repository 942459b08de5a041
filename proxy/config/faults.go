package config

import (
	"fmt"
	"slices"
	"strings"
)

// A configuration with faults is refused as a whole, and all of them are reported at once:
//
//	config.toml:12: peer.timeout: 2h is out of range; write 50ms to 1h
//	config.toml:31: unknown key "tenant.acme.limit"; did you mean "tenant.acme.limits"?
//	environment SWITCHYARD_PEER__MAX_PDU: peer.max_pdu: "16" is not a size; write a whole …

// Faults is every fault of a configuration: first those of its file, by line.
type Faults []Fault

// Error implements error: one line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// A Fault is one thing that is wrong, with its remedy.
type Fault struct {
	Place   Place
	Problem string // what is wrong, and after a semicolon what to do
}

// Error implements error, in the form that editors and compilers use for places.
func (f Fault) Error() string { return fmt.Sprintf("%s: %s", f.Place, f.Problem) }

// A Place is where a value was set.
type Place struct {
	Source string // the file's path, "environment NAME" or "--set KEY"
	Line   int    // in the file, from 1; otherwise 0
}

// String returns the source, with the line after a colon if there is one.
func (p Place) String() string {
	if p.Line == 0 {
		return p.Source
	}
	return fmt.Sprintf("%s:%d", p.Source, p.Line)
}

// sort sorts faults by line, those of the file first. Others keep the order in which they were
// found, which is the same each time.
func (f Faults) sort() {
	slices.SortStableFunc(f, func(a, b Fault) int {
		if inFile := a.Place.Line > 0; inFile != (b.Place.Line > 0) {
			if inFile {
				return -1
			}
			return 1
		}
		return a.Place.Line - b.Place.Line
	})
}
