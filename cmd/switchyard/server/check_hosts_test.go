package server

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"switchyard/proxy/config"
)

// Host names that mean the address of another listener, of the admin interface or of metrics are found.
func TestHostsThatCollide(t *testing.T) {
	hosts := map[string][]netip.Addr{
		"a.example":    {netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")},
		"b.example":    {netip.MustParseAddr("192.0.2.1")},
		"six.example":  {netip.MustParseAddr("2001:db8::1")},
		"here.example": {netip.MustParseAddr("127.0.0.1")},
		"none.example": {},
	}
	look := func(_ context.Context, _, host string) ([]netip.Addr, error) {
		if ips, ok := hosts[host]; ok {
			return ips, nil
		}
		return nil, errors.New("no such host")
	}
	for _, c := range []struct {
		first, second string
		fault, warn   string
	}{
		{"a.example:1", "b.example:1", `listener.1.address: "b.example:1" is 192.0.2.1:1, which listener.0.address has too ("a.example:1")`, ""},
		{"192.0.2.1:1", "a.example:1", `is 192.0.2.1:1`, ""},
		{"here.example:1", "localhost:1", `is`, ""},
		{"here.example:9", "192.0.2.1:1", `listener.0.address: "here.example:9" is 127.0.0.1:9, which admin.address has too`, ""},
		{"here.example:8", "192.0.2.1:1", `listener.0.address: "here.example:8" is 127.0.0.1:8, which metrics.address has too`, ""},
		{"a.example:1", "six.example:1", "", ""},
		{"a.example:1", "b.example:2", "", ""},
		{"a.example:1", "a.example:1", "", ""}, // refused when the configuration is read
		{"gone.example:1", "b.example:1", "", `listener.0.address: warning: "gone.example:1" cannot be looked up`},
		{"none.example:1", "b.example:1", "", `it has no address`},
	} {
		configuration := config.Default()
		configuration.Admin.Address, configuration.Metrics.Address = "127.0.0.1:9", "127.0.0.1:8"
		configuration.Listeners = []config.Listener{{Address: c.first}, {Address: c.second}}
		var out bytes.Buffer
		err := checkHosts(configuration, look, &out)
		if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%s, %s: got %v, want %q", c.first, c.second, err, c.fault)
		}
		if c.warn == "" && out.Len() > 0 || !strings.Contains(out.String(), c.warn) {
			t.Errorf("%s, %s: it says %q, want %q", c.first, c.second, out.String(), c.warn)
		}
	}
}
