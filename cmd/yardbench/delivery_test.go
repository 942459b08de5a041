//go:build linux

package main

import (
	"fmt"
	"testing"
	"time"

	"switchyard/cmd/yardbench/load"
	"switchyard/cmd/yardbench/process"
)

// BenchmarkDelivery measures the server's CPU time for one delivery of 200 bytes, with
// few peers and with many. "singly" sends at a rate at which each delivery is a write of
// its own; "saturated" sends as fast as the server relays.
func BenchmarkDelivery(b *testing.B) {
	root, err := repository(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	server, err := buildSwitchyard(b.Context(), root, b.TempDir(), identity{})
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name       string
		deliveries float64 // per second; 0 means unlimited
	}{{"singly", 40_000}, {"saturated", 0}} {
		for _, peers := range []int{8, 32, 128, 500, 1000} {
			b.Run(fmt.Sprintf("%s/%dpeers", c.name, peers), func(b *testing.B) {
				running, err := process.Start(b.Context(), b.TempDir(), server.command)
				if err != nil {
					b.Fatal(err)
				}
				defer running.Stop()
				var seconds, deliveries float64
				for b.Loop() {
					res, err := load.Run(b.Context(), load.Plan{Addresses: []string{running.Address}, PIDs: []int{running.PID()}, Connections: peers, Senders: 4,
						Size: 200, Window: 256, Batch: 16, Rate: c.deliveries / float64(peers-1), Random: true, Warmup: time.Second / 2, Duration: time.Second})
					if err != nil {
						b.Fatal(err)
					}
					if !res.Sound() {
						b.Fatalf("faults: %+v, ended: %v", res.Faults, res.Ended)
					}
					seconds += res.Server.CPU
					deliveries += res.Delivered * res.Seconds
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(seconds/deliveries*1e9, "cpu-ns/delivery")
			})
		}
	}
}
