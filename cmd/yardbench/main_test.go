//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"switchyard/cmd/yardbench/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// yardbench runs the command and returns its exit code and what it printed.
func yardbench(t *testing.T, args ...string) (code int, out, errors string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// Everything is built, run and written, if only for a moment.
func TestCompareQuickly(t *testing.T) {
	dir := t.TempDir()
	document, raw := filepath.Join(dir, "benchmarks.md"), filepath.Join(dir, "runs.json")
	if err := os.WriteFile(document, []byte("before\n"+beginMarker+"\nold\n"+endMarker+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, stderr := yardbench(t, "compare", "--quick", "--out", document, "--json", raw)
	if code != exitSound {
		t.Fatalf("exit code %d\n%s\n%s", code, out, stderr)
	}
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	table := string(text)
	if !strings.HasPrefix(table, "before\n"+beginMarker+"\n") || !strings.HasSuffix(table, endMarker+"\nafter\n") || strings.Contains(table, "old") {
		t.Errorf("what is around the table changed, or the old one is still there:\n%s", table)
	}
	for _, w := range workloads {
		for _, row := range []string{fmt.Sprintf("| %s | switchyard |", w.label()), fmt.Sprintf("| %s, %.0f/s | switchyard |", w.label(), w.moderate)} {
			if !strings.Contains(table, row) {
				t.Errorf("the table lacks the row %s", row)
			}
		}
	}
	for _, server := range []string{"switchyard", "nats"} {
		if n := strings.Count(table[strings.Index(table, "TLS"):], "| "+server+" |"); n != 2 {
			t.Errorf("%s has %d rows about TLS, want 2", server, n)
		}
	}
	if want := "All 38 runs were checked"; !strings.Contains(table, want) {
		t.Errorf("the table lacks %q:\n%s", want, table)
	}
	requireRuns(t, raw)
}

// requireRuns checks what may be known of figures taken in a moment.
func requireRuns(t *testing.T, raw string) {
	t.Helper()
	text, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	var runs []outcome
	if err := json.Unmarshal(text, &runs); err != nil {
		t.Fatal(err)
	}
	// A run this short may measure nothing but how one window of messages arrives, which were all sent before.
	type sum struct {
		seconds   float64
		latencies uint64
	}
	sums := map[string]sum{}
	for _, o := range runs {
		r := o.Result
		if r.Delivered <= 0 || r.Server.Resident < 1<<20 || r.OwnCPU <= 0 {
			t.Errorf("%s, %s: %+v, server %+v", o.Scenario, o.Server, r, r.Server)
		}
		sums[o.Server] = sum{sums[o.Server].seconds + r.Server.CPU, sums[o.Server].latencies + r.Latency.Count}
		if o.Server == "switchyard" && r.Order != load.OneOrder {
			t.Errorf("%s: Switchyard's order is %s, want one", o.Scenario, r.Order)
		}
	}
	for server, s := range sums {
		if s.seconds <= 0 || s.latencies == 0 {
			t.Errorf("%s: all runs together took %g s of CPU time and have %d latencies, want some", server, s.seconds, s.latencies)
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

func TestNobodyThere(t *testing.T) {
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

// make bench finds where to write.
func TestBenchmarksHaveAPlace(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := replaceBetween(string(text), ""); err != nil {
		t.Error(err)
	}
}

// Medians, ratios, orders and faults, from results that are given.
func TestTables(t *testing.T) {
	w := workloads[:1]
	result := func(deliveries, cpu float64, order load.Order) load.Result {
		return load.Result{Seconds: 2, Delivered: deliveries, Order: order, Server: &load.Usage{PerMillion: cpu, Resident: 3 << 20}}
	}
	c := comparison{rounds: 3, duration: 2e9, contenders: []contender{{name: "switchyard", version: "new"}, {name: "nats", version: "v2"}}}
	var err error
	if c.scenarios, err = chooseScenarios(w, saturated); err != nil {
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
	got := c.tables(surroundings{date: "today", machine: "this", command: "that"})
	for _, want := range []string{
		"\ntoday, by `that`. this.\n",
		"- nats: v2\n",
		"| W1: 8/1, 200 B | switchyard | 8.00 | 0.200 | 0 | 0 | 3.00 | one |  |\n",
		"|  | nats | 2.00 | 0.400 | 0 | 0 | 3.00 | several | 4.00 · 0.500 |\n",
		"**Fault:** W1 saturated, nats, round 3: 7 lost; 0 connections closed",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the tables lack\n%s\nin\n%s", want, got)
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

// A comparison that is told to end, here while its second server runs, ends it.
func TestStoppedComparison(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stderr := &cancelling{cancel: cancel}
	args := []string{"compare", "--nats=false", "--only", saturated, "--workloads", "W1,W2", "--duration", "100ms"}
	if code := run(ctx, args, io.Discard, stderr); code != exitFailed || !strings.Contains(stderr.String(), "canceled") {
		t.Errorf("exit code %d, printed\n%s", code, stderr)
	}
	// The goroutine that waits for a server would be found by goleak.
}

// A cancelling buffer cancels when the first run is over.
type cancelling struct {
	bytes.Buffer
	cancel context.CancelFunc
}

func (c *cancelling) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("1/5 W1")) {
		time.AfterFunc(50*time.Millisecond, c.cancel)
	}
	return c.Buffer.Write(p)
}
