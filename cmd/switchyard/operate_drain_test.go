//go:build full || race

package main

import (
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// A drain by the API is like one by SIGTERM: what is due is written, and /readyz says that the
// server is not ready.
func TestOperateDrain(t *testing.T) {
	t.Parallel()
	_, p, o := startOperated(t, everyone)
	north, south := p.dial(), p.dial()
	m := pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, 1<<20))
	north.say(m, m, m, m, m, m, m, m)
	// north and south do not read, so that the drain lasts until they do.
	eventually(t, func() bool {
		var got struct {
			Tenants []struct{ Lag, Received uint64 }
		}
		o.ask(200, "GET", "/api/v1/tenants", "", "", &got)
		return got.Tenants[0].Lag > 1<<20 && got.Tenants[0].Received == 10 // with two questions of dial
	}, func() string { return "south is not behind, or not all has arrived" })
	var got struct {
		Draining bool
		Timeout  float64 `json:"timeout_seconds"`
	}
	o.ask(202, "POST", "/api/v1/drain", "", "", &got)
	if !got.Draining || got.Timeout != 60 {
		t.Errorf("got %+v", got)
	}
	p.expect(`"msg":"stopping"`)
	if text := o.ask(503, "GET", "/readyz", "", "", nil); !strings.Contains(text, "[-]not draining the server stops") {
		t.Errorf("got %s", text)
	}
	o.ask(200, "GET", "/livez", "", "", nil)
	o.ask(503, "POST", "/api/v1/reload", "", "", nil)
	o.ask(202, "POST", "/api/v1/drain", "", "", nil) // a second request changes nothing
	for _, c := range []peer{north, south} {
		c.expect(m, m, m, m, m, m, m, m)
	}
	if code := p.exit(); code != exitStopped {
		t.Errorf("exit code %d, want %d", code, exitStopped)
	}
}
