package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"switchyard/plugins/source"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/certificate"
	"switchyard/proxy/config"
)

// A save that comes while a reload changes how files are watched, or which, is noticed. The new
// watcher would take it for what is known.
func TestSaveDuringReload(t *testing.T) {
	t.Parallel()
	signalling.Lock()
	defer signalling.Unlock()
	path := filepath.Join(t.TempDir(), "config.toml")
	save := func(poll, level, more string) {
		text := fmt.Sprintf("[admin]\naddress = \"\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n[reload]\ndebounce = \"10ms\"\npoll = %q\n[log]\nlevel = %q\n[tenant.default]\n%s", poll, level, more)
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	save("30m", "info", "")
	saved, seen := false, make(chan string, 100)
	load := func() (*config.Config, string, error) {
		c, err := config.Load(path, nil, nil)
		if err != nil {
			return nil, "", err
		}
		if c.Log.Level == "warn" && !saved {
			save("1h", "error", "")
			saved = true
		}
		seen <- c.Log.Level
		return c, "for the test", nil
	}
	done := make(chan error, 1)
	go func() { done <- Serve(load, nil, nil, io.Discard) }()
	<-seen
	save("1h", "warn", "")
	timeout := time.After(time.Minute)
	for level := ""; level != "error"; {
		select {
		case level = <-seen:
		case <-timeout:
			t.Error("the save during the reload was not noticed")
			level = "error"
		}
	}
	syscall.Kill(os.Getpid(), syscall.SIGTERM)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Complaints about what the configuration no longer has are forgotten.
func TestForget(t *testing.T) {
	srv := newServer(nil, nil)
	srv.listeners = map[string]*listener{"127.0.0.1:8200": {source: new(certificate.Source)}, "127.0.0.1:9": {}}
	for _, about := range []string{"configuration", "tenant default", "audit of tenant default", "tenant gone", "audit of tenant gone",
		"certificate of listener 127.0.0.1:8200", "certificate of listener 127.0.0.1:9"} {
		srv.lastErrors[about] = "something"
	}
	srv.forget()
	var left []string
	for about := range srv.lastErrors {
		left = append(left, about)
	}
	slices.Sort(left)
	want := []string{"audit of tenant default", "certificate of listener 127.0.0.1:8200", "configuration", "tenant default"}
	if !slices.Equal(left, want) {
		t.Errorf("left are %q, want %q", left, want)
	}
}

// A policy that stays refused is counted and recorded once, however often files are read again. It
// is logged again for an operator who asks. Another file is another refusal.
func TestRefusedOnce(t *testing.T) {
	srv, s := newServer(nil, nil), new(served)
	var lines bytes.Buffer
	srv.log = slog.New(slog.NewTextHandler(&lines, nil))
	configured, _ := srv.config.Tenant("default")
	for i, c := range []struct {
		file, fault string
		requested   bool
		refused     uint64 // so far
		lines       int    // so far
	}{
		{"a", "no", false, 1, 1}, {"a", "no", false, 1, 1}, {"a", "no", true, 1, 2},
		{"b", "no", false, 2, 3}, {"b", "no", false, 2, 3}, {"b", "worse", false, 3, 4},
	} {
		srv.refuse(configured, s, candidate{Module: source.Module{FileSHA256: c.file}}, errors.New(c.fault), c.requested)
		counts, _ := srv.state.history.Counts("default")
		recorded := srv.records.Position().Number
		if got := strings.Count(lines.String(), "\n"); got != c.lines || counts.Refused != c.refused || recorded != c.refused {
			t.Errorf("step %d: %d lines, counted %d, recorded %d; want %d, %d, %d", i, got, counts.Refused, recorded, c.lines, c.refused, c.refused)
		}
	}
}

// A reload has not succeeded if it has refused the certificate of an address that is not a listener.
func TestReloadRefusesCertificates(t *testing.T) {
	for _, name := range []string{adminCertificate, metricsCertificate} {
		srv := newServer(nil, nil)
		srv.config = config.Default()
		srv.lastErrors[certificateOf(name)] = "it has no PEM block"
		if r := srv.configResult(srv.inForce(), srv.inForce()); r.Result != api.Refused || r.Error != "it has no PEM block" {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}

// A reload that has exchanged the certificate of an address that is not a listener has changed something.
func TestReloadChangesCertificates(t *testing.T) {
	for _, name := range []string{adminCertificate, metricsCertificate} {
		srv := newServer(nil, nil)
		after := srv.inForce()
		after.certificates[name] = [32]byte{1}
		if r := srv.configResult(srv.inForce(), after); r.Result != api.Changed {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}
