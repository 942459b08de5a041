//go:build linux

package main

import (
	"fmt"
	"strings"

	"switchyard/cmd/yardbench/load"
)

// A workload is a pattern of traffic for comparing hubs.
type workload struct {
	name        string
	connections int
	senders     int
	size        int // bytes of a message
	window      int // of each sender, at saturation
	batch       int
	moderate    float64 // messages per second, for measuring latency
}

// workloads vary the numbers of connections and senders, and the size of messages. Each message goes
// to all other connections, so a workload of c connections has c-1 deliveries for each:
//
//	W1   few connections, one of which sends     W4   more connections, larger messages
//	W2   some tens, a few of which send          W5   few connections, very large messages
//	W3   the same, where all send                W6   very many connections
var workloads = []workload{
	{"W1", 8, 1, 200, 256, 16, 5000},
	{"W2", 32, 4, 200, 256, 16, 2000},
	{"W3", 32, 32, 200, 256, 16, 2000},
	{"W4", 128, 8, 512, 256, 16, 500},
	{"W5", 8, 2, 64 << 10, 16, 1, 300},
	{"W6", 500, 4, 200, 256, 16, 100},
}

// findWorkloads returns the workloads named in a comma-separated list, in its order.
func findWorkloads(names string) ([]workload, error) {
	var found []workload
	for name := range strings.SplitSeq(names, ",") {
		n := len(found)
		for _, w := range workloads {
			if strings.EqualFold(w.name, name) {
				found = append(found, w)
			}
		}
		if len(found) == n {
			return nil, usageError{fmt.Errorf("there is no workload %q; write some of W1 to W6, with commas between", name)}
		}
	}
	return found, nil
}

// label names the workload, its connections, how many of them send, and the size of its
// messages.
func (w workload) label() string {
	if w.size%1024 == 0 {
		return fmt.Sprintf("%s: %d/%d, %d KiB", w.name, w.connections, w.senders, w.size>>10)
	}
	return fmt.Sprintf("%s: %d/%d, %d B", w.name, w.connections, w.senders, w.size)
}

// plan returns the workload as a plan, at saturation or at its moderate rate.
func (w workload) plan(saturated bool) load.Plan {
	p := load.Plan{Connections: w.connections, Senders: w.senders, Size: w.size, Window: w.window, Batch: w.batch}
	if !saturated {
		p.Rate, p.Random = w.moderate, true
	}
	return p
}
