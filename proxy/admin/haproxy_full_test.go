//go:build full

package admin

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// haproxy's health checks, in each way of writing them, find a server that is ready up and one
// that drains down.
func TestHaproxyChecks(t *testing.T) {
	program, err := exec.LookPath("haproxy")
	if err != nil {
		t.Fatal(err, "; install haproxy")
	}
	for _, draining := range []bool{false, true} {
		f := startAt(t, patient, Options{}, func(f *fake) { f.state.Draining = draining }, listen(t, "tcp", "127.0.0.1:0"))
		want := map[bool]string{false: "L7OK", true: "L7STS"}[draining]
		for _, check := range []string{
			"option httpchk",
			"option httpchk /readyz",
			"option httpchk GET /readyz",
			"option httpchk HEAD /readyz HTTP/1.0",
			"option httpchk\n  http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host localhost.",
		} {
			stats := filepath.Join(t.TempDir(), "s")
			file := write(t, filepath.Join(t.TempDir(), "haproxy.cfg"), fmt.Sprintf(`global
  stats socket %[1]s
defaults
  mode tcp
  timeout connect 30s
  timeout client 30s
  timeout server 30s
  timeout check 30s
backend peers
  %[2]s
  server one %[3]s check inter 100ms
frontend all
  bind unix@%[1]s.front
  default_backend peers
`, stats, check, f.Addrs()[0]))
			var output bytes.Buffer
			c := exec.CommandContext(t.Context(), program, "-db", "-f", file)
			c.Stdout, c.Stderr = &output, &output
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			got := ""
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("haproxy wrote: %s", &output)
				}
			})
			f.await("haproxy has checked: "+check, func() bool {
				got = checkStatus(stats)
				return got != "" && !strings.HasPrefix(got, "*") && got != "INI"
			})
			if got != want {
				t.Errorf("draining %t, %s: %s, want %s", draining, check, got, want)
			}
			c.Process.Kill()
			c.Wait()
		}
	}
}

// checkStatus asks haproxy what its last check found, "" if it does not say.
func checkStatus(stats string) string {
	conn, err := net.Dial("unix", stats)
	if err != nil {
		return ""
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patient))
	fmt.Fprintln(conn, "show stat")
	var all bytes.Buffer
	all.ReadFrom(conn)
	lines := strings.Split(all.String(), "\n")
	for at, name := range strings.Split(lines[0], ",") {
		for _, line := range lines {
			if fields := strings.Split(line, ","); name == "check_status" && len(fields) > at && fields[1] == "one" {
				return fields[at]
			}
		}
	}
	return ""
}
