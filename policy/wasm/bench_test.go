package wasm

import (
	"context"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
)

func BenchmarkClassify(b *testing.B) {
	for name, module := range guestsOfLanguages(b) {
		p := loadModule(b, newEngine(b, DefaultLimits(), nil), name, module, nil)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Classify(pdu.SID_MSG, pdu.CID_MSG_DATA); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkInspect(b *testing.B) {
	p := load(b, newEngine(b, DefaultLimits(), nil), "sound")
	for _, c := range []struct {
		name  string
		byIDs policy.Verdict
		body  int
	}{{"header", header, 0}, {"body 256", body, 256}, {"body 0", body, 0}} {
		b.Run(c.name, func(b *testing.B) {
			q := question(make([]byte, c.body))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Inspect(c.byIDs, q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkInspectParallel(b *testing.B) {
	p := load(b, newEngine(b, DefaultLimits(), nil), "sound")
	session := make(chan uint64, 1)
	session <- 0
	b.RunParallel(func(pb *testing.PB) {
		q := question(nil)
		q.Session = <-session
		session <- q.Session + 1
		for pb.Next() {
			if _, err := p.Inspect(header, q); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkFault is what a decision costs that ends in a fault, the fresh instance for
// the next one included: at the mean, and the one in all that took longest.
func BenchmarkFault(b *testing.B) {
	for _, c := range hostile {
		p := load(b, newEngine(b, DefaultLimits(), nil), c.name)
		b.Run(c.name+" "+string(c.kind), func(b *testing.B) {
			longest := time.Duration(0)
			b.ReportAllocs()
			for b.Loop() {
				began := time.Now()
				if _, err := p.Inspect(c.byIDs, question(make([]byte, 20))); err == nil {
					b.Fatal("no fault")
				}
				longest = max(longest, time.Since(began))
			}
			b.ReportMetric(float64(longest.Microseconds()), "longest-µs")
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for name, module := range guestsOfLanguages(b) {
		b.Run(name, func(b *testing.B) {
			e := newEngine(b, DefaultLimits(), nil)
			b.ReportAllocs()
			for b.Loop() {
				p, err := e.Load(context.Background(), name, module, nil)
				if err != nil {
					b.Fatal(err)
				}
				if err := p.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
