//go:build full || race

package table

import (
	"fmt"
	"strings"
	"testing"
)

// The largest table compiles to a module of at most 256 KiB.
func TestLargestTable(t *testing.T) {
	var b strings.Builder
	b.WriteString("[route]\n")
	for i := range MaxRules / 2 {
		fmt.Fprintf(&b, "%d = 'unicast user %d'\n", 2*i, 0xffffffff-i)
	}
	b.WriteString("[service.0xffff]\n")
	for i := range MaxRules / 2 {
		fmt.Fprintf(&b, "%d = 'unicast session %d'\n", 0xffff-2*i, 0xffffffff-i)
	}
	table := parse(t, b.String())
	if n := len(table.Module()); n > 256<<10 {
		t.Errorf("%d bytes of module, want at most 256 KiB", n)
	}
	agree(t, table, []uint32{0xffff})
}
