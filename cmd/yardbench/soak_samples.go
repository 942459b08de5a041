//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"switchyard/cmd/yardbench/process"
)

// What must not grow. A leak of a few bytes for each reload or connection shows after twenty minutes
// of them, if everything that varies is allowed for.

// A sample is what a hub uses at one moment.
type sample struct {
	resident    int64 // bytes
	goroutines  int64
	descriptors int64
	threads     int64
}

// A sampler samples a hub every second.
type sampler struct {
	pid     int
	client  http.Client
	samples []sample
	failed  int // answers of the hub that did not come

	metricsNow map[string]float64 // of the last sample
}

// newSampler returns a sampler of the hub with this process id, whose metrics are read over its
// socket.
func newSampler(pid int, socket string) *sampler {
	var d net.Dialer
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) }
	return &sampler{pid: pid, client: http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: dial}}}
}

// run takes samples until ctx is done, and keeps those after settle: memory grows while buffers
// and pools fill for the first time, and is not to be taken for a leak. It prints one a minute.
func (s *sampler) run(ctx context.Context, settle time.Duration, w io.Writer) {
	defer s.client.CloseIdleConnections()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for begun, n := time.Now(), 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now, err := s.take(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.failed++
			}
			continue
		}
		after := time.Since(begun)
		if n%60 == 0 {
			fmt.Fprintf(w, "at %6.0f s %s\n", after.Seconds(), now)
		}
		if after >= settle {
			s.samples = append(s.samples, now)
		}
	}
}

func (s sample) String() string {
	return fmt.Sprintf("%s resident, %d goroutines, %d descriptors, %d threads", mebibytes(s.resident), s.goroutines, s.descriptors, s.threads)
}

// take takes one sample: of the process from /proc, and of the hub from its metrics.
func (s *sampler) take(ctx context.Context) (now sample, err error) {
	memory, err := process.MemoryOf(s.pid)
	if err != nil {
		return now, err
	}
	if now.descriptors, err = process.Descriptors(s.pid); err != nil {
		return now, err
	}
	if now.threads, err = process.Threads(s.pid); err != nil {
		return now, err
	}
	metrics, err := s.metrics(ctx)
	if err != nil {
		return now, err
	}
	s.metricsNow = metrics
	now.resident, now.goroutines = memory.Resident, int64(metrics["go_goroutines"])
	return now, nil
}

// metrics returns the hub's metrics, by name and labels.
func (s *sampler) metrics(ctx context.Context) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/metrics", nil)
	if err != nil {
		return nil, err
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer answer.Body.Close()
	metrics := make(map[string]float64)
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ") // no label here has a blank
		if x, err := strconv.ParseFloat(value, 64); err == nil {
			metrics[name] = x
		}
	}
	return metrics, lines.Err()
}

// Growth that is none: samples vary, and a heap has twice the size before a collection that
// it has after it.
const (
	residentSlack   = 32 << 20
	goroutineSlack  = 20
	descriptorSlack = 20
	threadSlack     = 10
)

// total returns the sum of a metric of the last sample over all series that have this label.
func (s *sampler) total(name, label string) (sum float64) {
	for series, value := range s.metricsNow {
		if strings.HasPrefix(series, name+"{") && strings.Contains(series, label) {
			sum += value
		}
	}
	return sum
}

// printWork prints what the hub had to do.
func (s *sampler) printWork(w io.Writer) {
	const policies, config = "switchyard_policy_reloads_total", "switchyard_config_reloads_total"
	fmt.Fprintf(w, "%-11s %.0f policies in force, %.0f refused; %.0f configurations in force, %.0f refused; %.0f faults of policies\n", "loaded",
		s.total(policies, `result="in-force"`), s.total(policies, `result="refused"`), s.total(config, `result="done"`), s.total(config, `result="refused"`),
		s.total("switchyard_policy_faults_total", ""))
}

// judge prints by how much the samples grew from the first third of them to the last, and
// reports whether they are flat. Medians are compared, so a peak does not count; what leaks has
// grown in each third. 10 % and a slack are allowed: 300 MiB of memory may become 362 MiB.
func (s *sampler) judge(w io.Writer) (flat bool, err error) {
	n := len(s.samples) / 3
	if n == 0 {
		return false, fmt.Errorf("%d samples are too few; %d could not be taken", len(s.samples), s.failed)
	}
	flat = true
	for _, m := range []struct {
		name  string
		of    func(sample) int64
		slack int64
		text  func(int64) string
	}{
		{"resident", func(x sample) int64 { return x.resident }, residentSlack, mebibytes},
		{"goroutines", func(x sample) int64 { return x.goroutines }, goroutineSlack, decimal},
		{"descriptors", func(x sample) int64 { return x.descriptors }, descriptorSlack, decimal},
		{"threads", func(x sample) int64 { return x.threads }, threadSlack, decimal},
	} {
		first, last := middle(s.samples[:n], m.of), middle(s.samples[len(s.samples)-n:], m.of)
		grew := last > first+first/10+m.slack
		verdict := "flat"
		if grew {
			flat, verdict = false, "GREW"
		}
		highest := m.of(slices.MaxFunc(s.samples, func(a, b sample) int { return int(m.of(a) - m.of(b)) }))
		fmt.Fprintf(w, "%-11s %s: median %s in the first third, %s in the last, at most %s\n", m.name, verdict, m.text(first), m.text(last), m.text(highest))
	}
	if s.failed > 0 {
		fmt.Fprintf(w, "%-11s %d samples could not be taken\n", "missing", s.failed)
	}
	return flat, nil
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// middle returns the median of one figure.
func middle(samples []sample, of func(sample) int64) int64 {
	all := make([]int64, 0, len(samples))
	for _, x := range samples {
		all = append(all, of(x))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
