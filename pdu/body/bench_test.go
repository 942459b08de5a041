package body

import (
	"slices"
	"testing"
)

// cases are the hub's operations on each kind of body. None allocates.
var cases = []struct {
	name string
	do   func(t testing.TB)
}{
	{"role set", func(t testing.TB) {
		if _, err := ReadRoleSet(roleSet); err != nil {
			t.Fatal(err)
		}
	}},
	{"status update", func(t testing.TB) {
		u, err := ReadUserStatusUpdate(statusUpdate, nil)
		if err != nil {
			t.Fatal(err)
		}
		scratch = AppendLoginStatusNotify(scratch[:0], u.User, true)
		scratch = AppendStatusNotify(scratch, u.User, u.Status)
	}},
	{"online info, 1000 users", func(t testing.TB) {
		info, err := ReadOnlineUserInfo(onlineInfo, nil)
		if err != nil {
			t.Fatal(err)
		}
		for u := range info.All() {
			sum += u.User
		}
	}},
	{"status request, 100 users", func(t testing.TB) {
		r, err := ReadUsersStatusRequest(statusRequest)
		if err != nil {
			t.Fatal(err)
		}
		scratch = response(scratch[:0], r)
	}},
	{"values, 100", func(t testing.TB) {
		v, err := ReadValues(statusRequest, 1<<2)
		if err != nil {
			t.Fatal(err)
		}
		for user := range v.All() {
			sum += user
		}
	}},
}

var (
	scratch       = make([]byte, 0, 1<<16)
	sum           uint32
	roleSet       = []byte{0x08, 1}
	statusUpdate  = []byte{0x08, 1, 0x10, 0xac, 0x02, 0x18, 1}
	onlineInfo    = slices.Repeat([]byte{0x0a, 8, 0x08, 0xac, 0xac, 0x02, 0x10, 1, 0x18, 1}, 1000)
	statusRequest = append([]byte{0x08, 1}, slices.Repeat([]byte{0x10, 0xac, 0xac, 0x02}, 100)...)
)

func TestNothingAllocates(t *testing.T) {
	for _, c := range cases {
		if n := testing.AllocsPerRun(100, func() { c.do(t) }); n != 0 {
			t.Errorf("%s: got %v allocations, want none", c.name, n)
		}
	}
}

func BenchmarkBody(b *testing.B) {
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.do(b)
			}
		})
	}
}
