package presence

import (
	"runtime"
	"testing"

	"switchyard/pdu/body"
)

const (
	benchPeers = 100
	benchUsers = 5_000_000
)

// full returns a Directory of benchUsers users, each on a PC at one of the peers.
func full() *Directory {
	d := New()
	for n := range uint32(benchUsers) {
		d.Apply(benchHolder(n), benchStat(n, body.Online))
	}
	return d
}

func benchHolder(n uint32) Holder { return Holder(1 + n%benchPeers) }

// benchStat spreads the ids: walking a table in the order of its ids would make better
// use of the caches than real traffic does.
func benchStat(n uint32, s body.Status) body.ServerUserStat {
	return body.ServerUserStat{User: n % benchUsers * 2654435761, Status: s, Client: body.ClientWindows}
}

func BenchmarkApplyNew(b *testing.B) {
	b.ReportAllocs()
	d, n := New(), uint32(0)
	for b.Loop() {
		if n == benchUsers {
			d, n = New(), 0
		}
		d.Apply(benchHolder(n), benchStat(n, body.Online))
		n++
	}
}

func BenchmarkFull(b *testing.B) {
	before := heap()
	d := full()
	bytesPerUser := float64(heap()-before) / benchUsers
	n := uint32(0)
	b.Run("UpdateExisting", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.Update(benchHolder(n), benchStat(n, body.Online))
			d.Update(benchHolder(n), benchStat(n, body.Offline))
			n = (n + 7919) % benchUsers
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*b.N), "ns/update")
		b.ReportMetric(bytesPerUser, "B/user")
	})
	b.Run("Status", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.Status(benchStat(n, 0).User)
			n = (n + 7919) % benchUsers
		}
	})
	b.Run("Holders", func(b *testing.B) {
		b.ReportAllocs()
		dst := make([]Holder, 0, 8)
		for b.Loop() {
			dst = d.Holders(benchStat(n, 0).User, dst[:0])
			n = (n + 7919) % benchUsers
		}
	})
	b.Run("Leave50000", func(b *testing.B) {
		b.ReportAllocs()
		p := uint32(0)
		for b.Loop() {
			for d.Leave(benchHolder(p), 1000) {
			}
			b.StopTimer()
			for n := p; n < benchUsers; n += benchPeers {
				d.Apply(benchHolder(n), benchStat(n, body.Online))
			}
			p = (p + 1) % benchPeers
			b.StartTimer()
		}
	})
	runtime.KeepAlive(d)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestNothingAllocates(t *testing.T) {
	d := New()
	for n := range uint32(1000) {
		d.Apply(benchHolder(n), benchStat(n, body.Online))
	}
	dst := make([]Holder, 0, 8)
	n := uint32(0)
	if got := testing.AllocsPerRun(1000, func() {
		n = (n + 1) % 1000
		d.Update(benchHolder(n), benchStat(n, body.Online))
		d.Update(benchHolder(n), benchStat(n, body.Offline))
		d.Status(benchStat(n, 0).User)
		dst = d.Holders(benchStat(n, 0).User, dst[:0])
	}); got != 0 {
		t.Errorf("got %v allocations per update and query of a known user, want none", got)
	}
}
