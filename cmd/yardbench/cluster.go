//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"switchyard/cmd/yardbench/load"
	"switchyard/cmd/yardbench/process"
)

// With --hubs, a lone hub is compared with clusters of Switchyard. A cluster has a bus of three
// processes, and connection n of the load is at hub n modulo the number of hubs:
//
//	connections 0, 3, 6 …   hub 1 ─┐
//	connections 1, 4, 7 …   hub 2 ─┼─ bus: servers 1, 2, 3
//	connections 2, 5, 8 …   hub 3 ─┘
//
// All of it and the generator share the machine, so more hubs have no more processors.

// A clustering makes a contender a cluster. It is a part of the contender and says how to start it; a
// group is what runs.
type clustering struct {
	hubs int
	bus  string // the program of the bus's servers
}

const (
	busServers = 3
	maxHubs    = 16
	busDrain   = 30 * time.Second // for a bus that elects a leader, which takes up to 9 s
)

// A group is a contender that runs: one process, or those of a cluster.
type group struct {
	hubs, bus []*process.Server
}

// clusterScenarios vary the number of peers. The senders are spread equally over one, two or three
// hubs. Windows are larger than those of other workloads, since a message that goes over the bus is
// under way for longer.
func clusterScenarios() []scenario {
	few := workload{"12 peers", 12, 6, 200, 2048, 16, 1000}
	all := []scenario{workloadScenario(moderate, few, moderate)}
	for _, w := range []workload{few,
		{"64 peers", 64, 6, 200, 2048, 16, 0},
		{"256 peers", 256, 6, 200, 512, 16, 0},
		{"1000 peers", 1000, 6, 200, 256, 16, 0},
	} {
		all = append(all, workloadScenario(saturated, w, saturated))
	}
	return all
}

// clusterContenders returns a lone hub and the clusters of --hubs. The servers of the bus are built
// from this repository, as an operator would.
func clusterContenders(ctx context.Context, root, dir string, lone contender, hubs []int) ([]contender, error) {
	bus := filepath.Join(dir, "yardbus")
	if _, err := tool(ctx, filepath.Join(root, "cmd", "yardbus"), "go", "build", "-o", bus, "."); err != nil {
		return nil, err
	}
	all := []contender{lone}
	for _, n := range hubs {
		c := lone
		c.name, c.cluster = fmt.Sprintf("cluster of %d", n), &clustering{hubs: n, bus: bus}
		c.version += fmt.Sprintf(", %d in a cluster, with a bus of %d servers", n, busServers)
		all = append(all, c)
	}
	return all, nil
}

// start starts a bus and the hubs, each with the command. A hub accepts connections once it has
// entered the cluster.
func (g *clustering) start(ctx context.Context, dir string, command []string) (*group, error) {
	dir, err := os.MkdirTemp(dir, "cluster")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the cluster: %w", err)
	}
	all := new(group)
	if err = all.startBus(ctx, dir, g.bus); err == nil {
		err = all.startHubs(ctx, dir, command, g.hubs)
	}
	if err != nil {
		all.stop()
		return nil, err
	}
	return all, nil
}

// startBus starts the servers of a bus.
func (all *group) startBus(ctx context.Context, dir, exe string) error {
	var peers []string
	for range busServers {
		address, err := process.FreeAddress()
		if err != nil {
			return err
		}
		peers = append(peers, address)
	}
	for i, peer := range peers {
		name := fmt.Sprintf("server%d", i+1)
		s, err := process.Start(ctx, dir, []string{exe, "--name", name, "--listen", process.Address, "--store", name,
			"--peer-listen", peer, "--peers", strings.Join(peers, ",")})
		if err != nil {
			return err
		}
		all.bus = append(all.bus, s)
	}
	return nil
}

// startHubs starts hubs of a cluster, each of which tries another server of the bus first. Start
// waits until a hub accepts connections, so each has entered before the next one does.
func (all *group) startHubs(ctx context.Context, dir string, command []string, hubs int) error {
	for i := range hubs {
		var servers []string
		for j := range all.bus {
			servers = append(servers, "nats://"+all.bus[(i+j)%len(all.bus)].Address)
		}
		s, err := process.Start(ctx, dir, append(command[:len(command):len(command)], "--set", "cluster.name=bench",
			"--set", fmt.Sprintf("cluster.hub=%d", i+1), "--set", "cluster.servers="+strings.Join(servers, ",")))
		if err != nil {
			return err
		}
		all.hubs = append(all.hubs, s)
	}
	return nil
}

// fill sets what a plan says of its hubs.
func (all *group) fill(p *load.Plan) {
	for _, s := range all.hubs {
		p.Addresses, p.PIDs = append(p.Addresses, s.Address), append(p.PIDs, s.PID())
	}
	for _, s := range all.bus {
		p.Bus, p.Drain = append(p.Bus, s.PID()), busDrain
	}
}

// stop stops the hubs, and then their bus. The error names processes that had ended before.
func (all *group) stop() error {
	var gone error
	for _, some := range [][]*process.Server{all.hubs, all.bus} {
		errs := make([]error, len(some))
		var stopping sync.WaitGroup
		for i, s := range some {
			stopping.Go(func() { errs[i] = s.Stop() })
		}
		stopping.Wait()
		gone = errors.Join(append(errs, gone)...)
	}
	return gone
}

// clusterTable has the costs of a cluster. Ratios are of runs of the same round, as those of a
// release. As much as possible, latencies are those of the windows, and are left out.
func (c *comparison) clusterTable(s *sheet, of []scenario) {
	s.head("", "server", "PDUs/s", "million deliveries/s", "µs of CPU per PDU: hubs", "bus", "p50 ms", "p99", "order",
		"all CPU against the lone hub: median", "middle half")
	for _, sc := range of {
		receivers := float64(sc.plan(c.duration).Connections - 1)
		for i, server := range c.contenders {
			r := c.of(sc, server)
			middle, half, latencies := "", "", []string{"", ""}
			if i > 0 {
				middle, half = quartiles(c.of(sc, c.contenders[0]), r, func(r *load.Result) float64 { return perMillion(r) + busPerMillion(r) })
			}
			if sc.kind == moderate {
				latencies = []string{number(median(r, p50) / 1e3), number(median(r, p99) / 1e3)}
			}
			s.row(once(i, sc.label), server.name, number(median(r, delivered)/receivers), number(median(r, delivered)/1e6),
				number(median(r, perMillion)*receivers), number(median(r, busPerMillion)*receivers), latencies[0], latencies[1], order(r), middle, half)
		}
	}
}

// busPerMillion returns the CPU time of the bus per million deliveries, in seconds.
func busPerMillion(r *load.Result) float64 { return r.BusCPU / max(r.Delivered*r.Seconds, 1) * 1e6 }
