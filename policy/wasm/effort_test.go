//go:build !full

package wasm

import "testing"

// How much the tests do that find more the longer they run.
const reloads = 25

// guestsOfLanguages are the guests that benchmarks compare.
func guestsOfLanguages(b *testing.B) map[string][]byte {
	return map[string][]byte{"wat": guest(b, "sound")}
}
