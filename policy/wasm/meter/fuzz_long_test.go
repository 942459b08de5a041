//go:build full || race

package meter

import (
	"testing"

	"github.com/tetratelabs/wazero"
)

// A rewritten module does what the original does.
func FuzzRewrite(f *testing.F) {
	for _, h := range hostile {
		if b := h.guest.assemble(); len(b) < 4096 {
			f.Add(b)
		}
	}
	for seed := range uint64(20) {
		f.Add(generate(1000 + seed))
	}
	f.Fuzz(func(t *testing.T, module []byte) {
		m, err := parse(module)
		if err != nil {
			return
		}
		if _, err := Rewrite(module, modest); err != nil || len(m.tables) > 4 {
			return // the share of each table might be too small to agree
		}
		if agree(t, wazero.NewRuntimeConfigInterpreter(), module) > 0 {
			covered(t, module)
		}
	})
}

// A module does the same when compiled as when interpreted.
func FuzzEngines(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(2000 + seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { sameOnEngines(t, mustRewrite(t, generate(seed), modest)) })
}
