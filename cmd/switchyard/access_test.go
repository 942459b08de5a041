//go:build full || race

package main

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"switchyard/proxy/certificate/authority"
)

// anAccessLine is what tests look at in a line of an access log.
type anAccessLine struct {
	Event, Tenant, Peer, Listener, TLS, Reason string
	Session                                    uint64
	Identities, Groups                         []string
	Seconds                                    *json.Number
	PDUsIn                                     *uint64 `json:"pdus_in"`
	BytesOut                                   uint64  `json:"bytes_out"`
}

// awaitAccess waits until an access log has n lines, and returns them.
func awaitAccess(t *testing.T, path string, n int) (lines []anAccessLine) {
	t.Helper()
	eventually(t, func() bool {
		lines = nil
		f, err := os.Open(path)
		if err != nil {
			return false
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			var l anAccessLine
			if json.Unmarshal(s.Bytes(), &l) != nil {
				return false // not written whole yet
			}
			lines = append(lines, l)
		}
		return len(lines) >= n
	}, func() string { return "the access log has too few lines" })
	if len(lines) != n {
		t.Fatalf("%d lines, want %d: %+v", len(lines), n, lines)
	}
	return lines
}

// The access log tells who came, who went and why, and who was refused. It is opened again by a SIGHUP,
// and comes and goes with a reload.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	dir, p, o := startOperated(t, everyone, "--set", "listener.0.allow=127.0.0.1", "--set", "log.access_file=access.log")
	path := filepath.Join(dir, "access.log")
	c := p.dial()
	peer := c.LocalAddr().String()
	c.Close()
	p.expect("session closed")
	refused, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Close()
	lines := awaitAccess(t, path, 3)
	if l := lines[0]; l.Event != "opened" || l.Tenant != "default" || l.Session != 1 || l.Peer != peer || l.Listener != p.address || l.PDUsIn != nil {
		t.Errorf("opened: %+v", l)
	}
	if l := lines[1]; l.Event != "closed" || l.Session != 1 || l.Peer != peer || l.Reason != "peer-closed" || l.PDUsIn == nil || *l.PDUsIn != 1 || l.BytesOut == 0 || l.Seconds == nil {
		t.Errorf("closed: %+v", l)
	} else if _, decimals, _ := strings.Cut(l.Seconds.String(), "."); len(decimals) > 3 {
		t.Errorf("closed after %s seconds, want milliseconds", *l.Seconds)
	}
	if l := lines[2]; l.Event != "refused" || l.Peer != refused.LocalAddr().String() || l.Listener != p.address || l.Reason != "not-allowed" || l.Session != 0 || l.Seconds != nil {
		t.Errorf("refused: %+v", l)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	from := p.logged()
	p.signal(syscall.SIGHUP)
	p.expectFrom(from, "policy unchanged")
	second := p.dial()
	awaitAccess(t, path, 1)
	awaitAccess(t, path+".1", 3)
	if text := o.ask(200, "GET", "/metrics", "", "", nil); !strings.Contains(text, "\nswitchyard_access_log_lines_lost_total 0\n") {
		t.Error("no count of lost lines in the metrics")
	}
	second.Close()
	p.signal(syscall.SIGTERM)
	p.exit()
	awaitAccess(t, path, 2)
}

// The names of a certificate are in the lines, and a file that cannot be written is refused.
func TestAccessLogOfTLS(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), authority.New(t, "CA")
	ca.Server("127.0.0.1").Write(dir, "server")
	ca.Write(dir, "ca.pem")
	configuration := "listener = [{ address = \"127.0.0.1:0\", tls = { certificate = \"server.pem\", key = \"server.key\", client_ca = \"ca.pem\" } }]\n[tenant.default.group.southern]\ncertificates = [\"cn:south\"]\n[reload]\nwatch = false\n"
	save(t, dir, "config.toml", configuration)
	for file, want := range map[string]int{"none/access.log": exitConfig, ".": exitConfig} {
		var stderr strings.Builder
		if code := run([]string{"--config", filepath.Join(dir, "config.toml"), "--set", "admin.address=", "--set", "log.access_file=" + file}, nil, &stderr, &stderr); code != want || !strings.Contains(stderr.String(), "log.access_file") {
			t.Errorf("%s: exit code %d, %s", file, code, stderr.String())
		}
	}
	p := start(t, dir, "--set", "listener.0.address=127.0.0.1:0")
	p.joinTLS(ca, "127.0.0.1", ca.Client("north")).Close()
	p.expect("session closed")
	from := p.logged()
	save(t, dir, "config.toml", configuration+"[log]\naccess_file = \"access.log\"\n")
	p.signal(syscall.SIGHUP)
	p.expectFrom(from, "configuration reloaded", "log.access_file")
	p.joinTLS(ca, "127.0.0.1", ca.Client("south")).Close()
	lines := awaitAccess(t, filepath.Join(dir, "access.log"), 2)
	for _, l := range lines {
		if l.TLS == "" || !slices.Contains(l.Identities, "cn:south") || !slices.Equal(l.Groups, []string{"southern"}) {
			t.Errorf("got %+v", l)
		}
	}
}
