//go:build full || race

package meter

import "testing"

func TestHostileGuestsStop(t *testing.T) {
	for name, h := range hostile {
		t.Run(name, func(t *testing.T) {
			m := instantiate(t, mustRewrite(t, h.guest.assemble(), tight))
			err := stops(t, m, "run")
			if err == nil {
				t.Fatal("the guest came to an end by itself")
			}
			if out := depthLeft(m) < 0; out != h.depth {
				t.Errorf("depth left %d, want it negative: %v", depthLeft(m), h.depth)
			}
			if out := fuelLeft(m) < 0; out == h.depth {
				t.Errorf("fuel left %d, want it negative: %v; %v", fuelLeft(m), !h.depth, err)
			}
		})
	}
}
