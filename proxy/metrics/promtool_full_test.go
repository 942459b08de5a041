//go:build full

package metrics

import (
	"os/exec"
	"strings"
	"testing"
)

// promtool runs Prometheus' own tool in deploy/prometheus.
func promtool(t *testing.T, input string, args ...string) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is missing; on Debian, apt-get install prometheus")
	}
	c := exec.CommandContext(t.Context(), program, args...)
	c.Dir, c.Stdin = "../../deploy/prometheus", strings.NewReader(input)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Prometheus accepts the alerts, and each fires when it should.
func TestAlertsOfPrometheus(t *testing.T) {
	t.Parallel()
	promtool(t, "", "check", "rules", "switchyard.rules.yml")
	promtool(t, "", "test", "rules", "switchyard.rules.test.yml")
}

// Prometheus reads the metrics, and finds nothing to correct in their names and helps.
func TestMetricsOfPrometheus(t *testing.T) {
	t.Parallel()
	var own strings.Builder
	for line := range strings.Lines(scrape(t, everything)) {
		if strings.Contains(line, "switchyard_") {
			own.WriteString(line)
		}
	}
	promtool(t, own.String(), "check", "metrics")
}
