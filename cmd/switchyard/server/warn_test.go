package server

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"

	"switchyard/proxy/certificate"
	"switchyard/proxy/certificate/authority"
)

// A warning about what is in force is logged once, whatever is reloaded meanwhile, and does not
// count as something refused.
func TestWarnOnce(t *testing.T) {
	dir := t.TempDir()
	chain, key := authority.New(t, "servers").Server("hub.example").Write(dir, "hub")
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	source, err := certificate.Load(certificate.Files{Certificate: chain, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	srv := newServer(nil, nil)
	var lines bytes.Buffer
	srv.log = slog.New(slog.NewTextHandler(&lines, nil))
	srv.listeners = map[string]*listener{"127.0.0.1:8200": {source: source}}
	logged := func(what string, want int) {
		t.Helper()
		srv.warn()
		if got := strings.Count(lines.String(), "about the certificate in force"); got != want {
			t.Errorf("%s: logged %d times, want %d", what, got, want)
		}
	}
	logged("at first", 1)
	srv.configured(nil, false)
	logged("after a reload", 1)
	if got := statusOf(srv.lastErrors); got != "serving" {
		t.Errorf("the status is %q, want that nothing is refused", got)
	}
	srv.listeners = nil
	logged("without the listener", 1)
	srv.listeners = map[string]*listener{"127.0.0.1:8200": {source: source}}
	logged("with it again", 2)
}
