//go:build full

package wasm

import (
	"testing"
	"time"
)

// How much the tests do that find more the longer they run.
const reloads = 300

// guestsOfLanguages are the guests that benchmarks compare.
func guestsOfLanguages(b *testing.B) map[string][]byte {
	return map[string][]byte{"C": cGuest(b), "Go": goGuest(b), "wat": guest(b, "sound")}
}

// Twice what docs/security.md promises: CPU time, too, grows when other processes use the
// caches and the memory's bandwidth.
const (
	allWorstCases = true
	worstDecision = 20 * time.Millisecond
	worstStart    = 200 * time.Millisecond
	measurements  = 3 // of a case at most; one that is quick enough suffices
)
