//go:build linux

package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"switchyard/cmd/yardbench/load"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "soak" { // a soak starts its own program for the attackers
		main()
	}
	goleak.VerifyTestMain(m)
}

// yardbench runs the command and returns its exit code and what it printed.
func yardbench(t *testing.T, args ...string) (code int, out, errors string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// requireTexts checks that a table has all of the texts.
func requireTexts(t *testing.T, table string, texts ...string) {
	t.Helper()
	for _, want := range texts {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks\n%s\nin\n%s", want, table)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"compare", "--rounds", "0"},
		{"compare", "--duration", "1ms"},
		{"compare", "--workloads", "W7"},
		{"compare", "--only", "nothing"},
		{"compare", "too", "much"},
		{"compare", "--stages", "--only", "churn"},
		{"compare", "--stages", "--server", "x={address}"},
		{"compare", "--hubs", "0"},
		{"compare", "--hubs", "17"},
		{"compare", "--hubs", "1", "--stages"},
		{"compare", "--hubs", "1", "--only", "churn"},
		{"soak", "--duration", "1ms"},
		{"soak", "--quiet", "0s"},
		{"soak", "attack"},
		{"run", "--protocol", "redis"},
		{"run", "--workload", "W0"},
		{"run", "--tls", "nowhere.pem"},
		{"run", "--what"},
		{"run", "too much"},
		{"what"},
	} {
		code, out, stderr := yardbench(t, args...)
		if code != exitUsage || out != "" || !strings.HasPrefix(stderr, "yardbench: ") {
			t.Errorf("%q: exit code %d, printed %q and %q; want code %d and a reason", args, code, out, stderr, exitUsage)
		}
	}
	if code, out, _ := yardbench(t); code != exitSound || !strings.Contains(out, "compare") {
		t.Errorf("without a command: exit code %d, printed %q", code, out)
	}
}

func TestNoHub(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, command := range []string{"run", "slow", "churn"} {
		if code, _, stderr := yardbench(t, command, "--address", l.Addr().String()); code != exitFailed || !strings.Contains(stderr, "connect") {
			t.Errorf("%s: exit code %d, printed %q", command, code, stderr)
		}
	}
}

func TestOtherContenders(t *testing.T) {
	c, err := otherContender("old=./route_server --at {address} -x")
	if err != nil || c.name != "old" || len(c.command) != 4 || !filepath.IsAbs(c.command[0]) || c.command[2] != "{address}" {
		t.Errorf("read as %+v, %v", c, err)
	}
	for _, text := range []string{"", "x", "=x {address}", "x=", "x=server --port 80"} {
		if _, err := otherContender(text); err == nil {
			t.Errorf("%q is a server", text)
		}
	}
}

func TestPlacesOfTables(t *testing.T) {
	name := filepath.Join(t.TempDir(), "new.md")
	for _, text := range []string{"one\n", "two\n"} {
		if err := insert(name, text); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if want := "# Benchmarks\n\n" + beginMarker + "\n" + text + endMarker + "\n"; err != nil || string(got) != want {
			t.Errorf("got\n%s%v, want\n%s", got, err, want)
		}
	}
	for _, text := range []string{"no markers\n", beginMarker + "\n", endMarker + "\n" + beginMarker + "\n"} {
		if _, err := replaceBetween(text, "x"); err == nil {
			t.Errorf("%q has a place for a table", text)
		}
	}
}

// docs/benchmarks.md has a place for the tables of make bench.
func TestBenchmarksHaveAPlace(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := replaceBetween(string(text), ""); err != nil {
		t.Error(err)
	}
}

// Tables have medians, ratios, orders and faults.
func TestTables(t *testing.T) {
	w := workloads[:1]
	result := func(deliveries, cpu float64, order load.Order) load.Result {
		return load.Result{Seconds: 2, Delivered: deliveries, Order: order, Server: &load.Usage{PerMillion: cpu, Resident: 3 << 20}}
	}
	c := comparison{rounds: 3, duration: 2e9, contenders: []contender{{name: "switchyard", version: "new"}, {name: "nats", version: "v2"}}}
	var err error
	if c.scenarios, err = chooseScenarios(scenariosOf(w), saturated); err != nil {
		t.Fatal(err)
	}
	for i, o := range []outcome{
		{Server: "switchyard", Result: result(9e6, 0.1, load.OneOrder)},
		{Server: "nats", Result: result(4e6, 0.4, load.OneOrder)},
		{Server: "switchyard", Result: result(8e6, 0.3, load.OneOrder)},
		{Server: "nats", Result: result(1e6, 0.2, load.ManyOrders)},
		{Server: "switchyard", Result: result(2e6, 0.2, load.OneOrder)},
		{Server: "nats", Result: result(2e6, 0.8, load.OneOrder)},
	} {
		o.Scenario, o.Round = c.scenarios[0].name, i/2+1
		if i == 5 {
			o.Result.Faults.Lost = 7
		}
		c.runs = append(c.runs, o)
	}
	got := c.tables(environment{date: "today", machine: "this", command: "that"})
	requireTexts(t, got,
		"\ntoday, by `that`. this.\n",
		"- nats: v2\n",
		"| W1: 8/1, 200 B | switchyard | 8.00 | 0.200 | 0 | 0 | 3.00 | one |  |\n",
		"|  | nats | 2.00 | 0.400 | 0 | 0 | 3.00 | several | 4.00 · 0.500 |\n",
		"**Fault:** W1 saturated, nats, round 3: 7 lost; 0 connections closed")
}

// The costs of a release are ratios of runs of the same round.
func TestStageTable(t *testing.T) {
	c := comparison{rounds: 3, duration: 2e9, stages: true, contenders: stageContenders(contender{name: "switchyard", version: "new"})}
	var err error
	if c.scenarios, err = chooseScenarios(scenariosOf(workloads[:1]), saturated); err != nil {
		t.Fatal(err)
	}
	for round, cpu := range [][]float64{{0.1, 0.1, 0.11, 0.4}, {0.2, 0.2, 0.2, 0.4}, {1, 1, 0.9, 5}} {
		for i, server := range c.contenders {
			r := load.Result{Seconds: 2, Delivered: 9e6, Server: &load.Usage{PerMillion: cpu[i]}}
			c.runs = append(c.runs, outcome{c.scenarios[0].name, server.name, round + 1, r})
		}
	}
	got := c.tables(environment{})
	requireTexts(t, got,
		"| W1: 8/1, 200 B | switchyard | 9.00 | 0.200 | 0 | 0 |  |  |\n",
		"|  | again | 9.00 | 0.200 | 0 | 0 | 1.000 | 1.000–1.000 |\n",
		"|  | alike | 9.00 | 0.200 | 0 | 0 | 1.000 | 0.900–1.100 |\n",
		"|  | compared | 9.00 | 0.400 | 0 | 0 | 4.000 | 2.000–5.000 |\n")
}

// The costs of a cluster are CPU time per PDU, of which each peer but its sender gets a copy.
func TestClusterTable(t *testing.T) {
	c := comparison{rounds: 3, duration: 2e9, hubs: []int{3}, contenders: []contender{{name: "switchyard"}, {name: "cluster of 3"}}}
	var err error
	if c.scenarios, err = chooseScenarios(clusterScenarios(), ""); err != nil {
		t.Fatal(err)
	}
	c.scenarios = c.scenarios[:2] // 12 peers, at a rate and as much as possible
	for _, sc := range c.scenarios {
		for round, factor := range []float64{1, 2, 4} {
			lone := load.Result{Seconds: 2, Delivered: 11e6, Latency: load.Latency{P50: 100, P99: 200}, Order: load.OneOrder, Server: &load.Usage{PerMillion: factor}}
			cluster := lone
			cluster.Latency, cluster.Server, cluster.BusCPU = load.Latency{P50: 3000, P99: 4000}, &load.Usage{PerMillion: 3}, 22
			c.runs = append(c.runs, outcome{sc.name, "switchyard", round + 1, lone}, outcome{sc.name, "cluster of 3", round + 1, cluster})
		}
	}
	got := c.tables(environment{})
	requireTexts(t, got,
		"| 12 peers: 12/6, 200 B, 1000/s | switchyard | 1000000 | 11.0 | 22.0 | 0 | 0.100 | 0.200 | one |  |  |\n",
		"|  | cluster of 3 | 1000000 | 11.0 | 33.0 | 11.0 | 3.00 | 4.00 | one | 2.000 | 1.000–4.000 |\n",
		"| 12 peers: 12/6, 200 B | switchyard | 1000000 | 11.0 | 22.0 | 0 |  |  | one |  |  |\n")
}

// A cluster whose bus or hubs do not start is an error.
func TestClusterThatDoesNotStart(t *testing.T) {
	for _, hubs := range []int{0, 1} {
		g := clustering{hubs: hubs, bus: filepath.Join(t.TempDir(), "missing")}
		if _, err := g.start(t.Context(), t.TempDir(), []string{g.bus}); err == nil {
			t.Errorf("%d hubs run without a bus", hubs)
		}
	}
}

func TestNumbers(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 0.01234: "0.0123", 0.1234: "0.123", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 12345: "12345"} {
		if got := number(x); got != want {
			t.Errorf("%v is written %s, want %s", x, got, want)
		}
	}
}
