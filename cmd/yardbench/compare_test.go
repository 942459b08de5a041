//go:build full && linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"switchyard/cmd/yardbench/load"
)

// compare builds and runs everything briefly, and writes the tables.
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
		requireTexts(t, table, fmt.Sprintf("| %s | switchyard |", w.label()), fmt.Sprintf("| %s, %.0f/s | switchyard |", w.label(), w.moderate))
	}
	for _, server := range []string{"switchyard", "nats"} {
		if n := strings.Count(table[strings.Index(table, "TLS"):], "| "+server+" |"); n != 2 {
			t.Errorf("%s has %d rows about TLS, want 2", server, n)
		}
	}
	requireTexts(t, table, "All 38 runs were checked")
	requireRuns(t, raw)
}

// compare --stages measures Switchyard with itself while a release is under way, which has counted
// every PDU in the way that its name says.
func TestCompareStagesQuickly(t *testing.T) {
	dir := t.TempDir()
	raw := filepath.Join(dir, "runs.json")
	code, out, stderr := yardbench(t, "compare", "--stages", "--quick", "--workloads", "W1", "--json", raw)
	if code != exitSound {
		t.Fatalf("exit code %d\n%s\n%s", code, out, stderr)
	}
	requireTexts(t, out, "| W1: 8/1, 200 B | switchyard |", "|  | again |", "|  | alike |", "|  | compared |", "| W1: 8/1, 200 B, 5000/s | switchyard |", "All 8 runs were checked")
	requireRuns(t, raw)
}

// compare --hubs measures a lone hub and a cluster, whose hubs deliver what peers of any of them send.
func TestCompareHubs(t *testing.T) {
	raw := filepath.Join(t.TempDir(), "runs.json")
	code, out, stderr := yardbench(t, "compare", "--hubs", "2", "--only", moderate, "--rounds", "1", "--duration", "2s", "--json", raw)
	if code != exitSound {
		t.Fatalf("exit code %d\n%s\n%s", code, out, stderr)
	}
	requireTexts(t, out, "| 12 peers: 12/6, 200 B, 1000/s | switchyard |", "|  | cluster of 2 |", "All 2 runs were checked")
	requireRuns(t, raw)
}

// requireRuns checks what holds even for very short runs.
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
		if o.Server != "nats" && r.Order != load.OneOrder {
			t.Errorf("%s, %s: the order is %s, want one", o.Scenario, o.Server, r.Order)
		}
	}
	for server, s := range sums {
		if s.seconds <= 0 || s.latencies == 0 {
			t.Errorf("%s: all runs together took %g s of CPU time and have %d latencies, want some", server, s.seconds, s.latencies)
		}
	}
}

// A comparison that is cancelled while its second server runs stops that server.
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

// A cancelling buffer calls cancel soon after the first run is over.
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
