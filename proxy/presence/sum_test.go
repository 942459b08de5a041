package presence

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"switchyard/pdu/body"
)

// The sum does not depend on the order in which users, holders and counts came, nor on what was there
// before. It differs if one user, count or holder does.
func TestSum(t *testing.T) {
	stats := []body.ServerUserStat{{User: 0, Status: body.Online, Client: body.ClientWindows}, {User: 1, Status: body.Online, Client: body.ClientMac},
		{User: 1, Status: body.Online, Client: body.ClientIOS}, {User: 1<<32 - 1, Status: body.Online, Client: body.ClientAndroid}}
	seen := map[uint64]string{}
	apply := func(d *Directory, n int, status body.Status) { // bits of n choose
		for _, i := range rand.Perm(2 * len(stats)) {
			if stat := stats[i/2]; n>>i&1 != 0 {
				stat.Status = status
				d.Apply(Holder(1+i%2), stat)
			}
		}
	}
	for n := range 1 << 8 {
		d, other := New(), New()
		d.KeepSum()
		other.KeepSum()
		apply(d, n, body.Online)
		for h := range Holder(9) {
			for _, stat := range stats {
				other.Apply(h, stat)
			}
		}
		for h := range Holder(9) {
			for more := true; more; {
				more = other.Leave(h, 1)
			}
		}
		if other.Sum() != 0 {
			t.Fatalf("the sum of an empty table is %#x", other.Sum())
		}
		apply(other, n, body.Online)
		if d.Sum() != other.Sum() {
			t.Fatalf("%08b: the sums of equal tables are %#x and %#x", n, d.Sum(), other.Sum())
		}
		table := fmt.Sprint(entriesOf(d))
		if before, found := seen[d.Sum()]; found && before != table {
			t.Errorf("these tables have the same sum:\n%s\n%s", before, table)
		}
		seen[d.Sum()] = table
	}
	if len(seen) < 100 {
		t.Errorf("there were only %d different tables", len(seen))
	}
}

// entriesOf returns the counts and the holders of each user.
func entriesOf(d *Directory) (all []string) {
	for _, id := range slices.Sorted(maps.Keys(d.users)) {
		holders := d.Holders(id, nil)
		slices.Sort(holders)
		all = append(all, fmt.Sprint(id, d.users[id].counts, holders))
	}
	return all
}

// An imported table has the sum of the exported one.
func TestSumIsImported(t *testing.T) {
	d := New()
	d.KeepSum()
	for n := range uint32(1000) {
		d.Apply(Holder(1+n%3), benchStat(n%300, body.Online))
	}
	var chunks [][]byte
	d.Export(func(Holder) bool { return true }, func(chunk []byte) error {
		chunks = append(chunks, append([]byte(nil), chunk...))
		return nil
	})
	again, err := Import(func() ([]byte, error) {
		chunk := chunks[0]
		chunks = chunks[1:]
		return chunk, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if again.KeepSum(); again.Sum() != d.Sum() {
		t.Errorf("the sum is %#x, imported %#x", d.Sum(), again.Sum())
	}
}
