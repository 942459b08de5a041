//go:build !full

package wasm

import (
	"testing"
	"time"
)

// How much the tests do that find more the longer they run.
const reloads = 25

// guestsOfLanguages are the guests that benchmarks compare.
func guestsOfLanguages(b *testing.B) map[string][]byte {
	return map[string][]byte{"wat": guest(b, "sound")}
}

// TestWorstCases and TestWorstStarts measure a part of the cases, and allow ten times as much
// as on a machine that has nothing else to do.
const (
	allWorstCases = false
	worstDecision = 100 * time.Millisecond
	worstStart    = time.Second
	measurements  = 1
)
