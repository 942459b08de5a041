//go:build full

package wasm

import (
	"errors"
	"path/filepath"
	"testing"
)

// The engines agree on every guest of the tests, hostile ones included.
func TestEnginesAgreeOnGuests(t *testing.T) {
	names, err := filepath.Glob("testdata/*.wasm")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	e := newEngine(t, DefaultLimits(), nil)
	for _, path := range names {
		name := filepath.Base(path[:len(path)-len(".wasm")])
		p, err := e.Load(t.Context(), name, guest(t, name), nil)
		if refused := (*GateError)(nil); errors.As(err, &refused) && refused.Gate == GateEngines {
			t.Error(err)
		}
		if err == nil && p.Close() != nil {
			t.Errorf("%s: not closed", name)
		}
	}
}
