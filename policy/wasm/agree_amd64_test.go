package wasm

import "testing"

// The comparison finds what wazero 1.12 compiles wrongly on amd64. Once wazero compiles it
// rightly, this test and the guards of package meter can go.
func TestEnginesDisagreeOnZeroAnd(t *testing.T) {
	bare := guest(t, "zero_and_bare")
	_, err := compare(t, bare, bare)
	wantGate(t, err, GateEngines, "disagree on classify(", "report it")
}
