//go:build full || race

package table

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"switchyard/policy"
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

// Random tables decide as their modules do.
func TestRandomTables(t *testing.T) {
	for seed := range 5 {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		table := parse(t, randomTable(random))
		services := []uint32{0, 5, 0xffff, uint32(random.IntN(1 << 16))}
		for s := range table.services {
			services = append(services[:4:4], uint32(s))
		}
		agree(t, table, services)
	}
}

// randomTable writes a table with random rules, whose ranges nest.
func randomTable(random *rand.Rand) string {
	verdicts := allVerdicts()
	verdict := func() policy.Verdict { return verdicts[random.IntN(len(verdicts))] }
	var b strings.Builder
	b.WriteString("[route]\n")
	commands := func(n int) {
		for _, id := range random.Perm(1 << 16)[:n] {
			fmt.Fprintf(&b, "%s = %q\n", []string{fmt.Sprint(id), fmt.Sprintf("0x%04x", id)}[random.IntN(2)], verdict())
		}
		if random.IntN(2) == 0 {
			fmt.Fprintf(&b, "else = %q\n", verdict())
		}
	}
	commands(random.IntN(50))
	var ranges func(lo, hi int)
	ranges = func(lo, hi int) {
		if hi-lo < 4 || random.IntN(4) == 0 {
			return
		}
		fmt.Fprintf(&b, "%d-0x%x = %q\n", lo, hi, verdict())
		middle := lo + 1 + random.IntN(hi-lo-1)
		ranges(lo, middle)
		ranges(middle+1, hi)
	}
	ranges(random.IntN(100), 1<<16-1-random.IntN(2))
	for _, service := range random.Perm(1 << 16)[:random.IntN(4)] {
		fmt.Fprintf(&b, "[service.%d]\n", service)
		commands(random.IntN(20))
	}
	return b.String()
}
