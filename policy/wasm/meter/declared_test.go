package meter

import (
	"fmt"
	"strings"
	"testing"

	"switchyard/policy/wasm/binary"
)

// What a module declares is paid for from the fuel for loading, as each instance has all of it.
func TestInstancesCostFuel(t *testing.T) {
	one, code := op(binary.SectionType, 1, 0x60, 0, 0), op(binary.SectionCode, 1, 2, 0, opEnd)
	function, tables := op(binary.SectionFunction, 1, 0), op(binary.SectionTable, 1, 0x70, 0, 80)
	for name, c := range map[string]struct {
		module []byte
		cost   uint64
	}{
		"nothing":  {sections(one, function, code), 0},
		"table":    {sections(one, function, tables, code), 10},
		"elements": {sections(one, function, tables, op(binary.SectionElement, 1, 0, opI32Const, 0, opEnd, 3, 0, 0, 0), code), 10 + unitsPerElementSegment + 3*unitsPerElement},
		"globals":  {sections(op(binary.SectionGlobal, 2, tI32, 1, opI32Const, 0, opEnd, tI32, 0, opI32Const, 0, opEnd)), 2 * unitsPerGlobal},
		"data":     {sections(op(binary.SectionMemory, 1, 0, 1), append(op(binary.SectionData, 1, 1, 64), make([]byte, 64)...)), unitsPerDataSegment + 2},
	} {
		l := ample
		if l.LoadFuel = c.cost; c.cost > 0 {
			l.LoadFuel--
			if _, err := Rewrite(c.module, l); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("costs %d units of fuel before any code runs, at most %d", c.cost, c.cost-1)) {
				t.Errorf("%s with too little fuel: got %v", name, err)
			}
			l.LoadFuel++
		}
		out, err := Rewrite(c.module, l) // with just enough
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if left := fuelLeft(instantiate(t, out.Module)); left != 0 {
			t.Errorf("%s: %d units are left, want none", name, left)
		}
	}
}
