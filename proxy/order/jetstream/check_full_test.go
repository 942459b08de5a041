//go:build full

package jetstream

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"switchyard/proxy/order/jetstream/bustest"
)

// Check says what a hub would run into, and leaves no stream behind.
func TestCheck(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, 1)
	js := b.Admin()
	s := settingsFor(b, 1, 1)
	join(t, s).reads(1)
	gone := bustest.Start(t, 1)
	gone.Kill(0)
	s.Servers = append(gone.Servers(0), s.Servers...)
	report, err := Check(t.Context(), s, []string{"main", "new"})
	if err != nil || report.Servers != 1 || report.RoundTrip <= 0 || len(report.Warnings) == 0 || !strings.Contains(report.Warnings[0], s.Servers[0]) {
		t.Errorf("report %+v, %v; want one server, and a warning about %s", report, err, s.Servers[0])
	}
	for name := range js.StreamNames() {
		if name != "SY_test_main" {
			t.Errorf("stream %s was left behind", name)
		}
	}

	s.Servers = s.Servers[1:]
	if _, err := js.AddStream(&nats.StreamConfig{Name: "SY_test_file", Subjects: []string{"x"}, Storage: nats.FileStorage}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		change func(*Settings)
		tenant string
		want   string
	}{
		{func(*Settings) {}, "file", "stream SY_test_file has other settings"},
		{func(s *Settings) { s.Replicas = 3 }, "new", "set replicas to 1"},
		{func(s *Settings) { s.LogBytes = 1 << 40 }, "new", "have no room"},
		{func(s *Settings) { s.Servers = gone.Servers(0) }, "new", "no server of the bus is connected"},
	} {
		other := s
		tc.change(&other)
		if _, err := Check(t.Context(), other, []string{tc.tenant}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v, want %q", err, tc.want)
		}
	}
}
