package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// The command reads all files, prints what each names, and ends with the exit codes of check.
func TestMsgserverCheck(t *testing.T) {
	t.Chdir(t.TempDir())
	files := map[string]string{
		"sound.conf":  "RouteServerIP1=10.1.0.4\nRouteServerPort1=8200\nRouteServerIP2=10.1.0.5\nRouteServerPort2=8200\n",
		"order.conf":  "RouteServerIP1=10.1.0.5\nRouteServerPort1=8200\nRouteServerIP2=10.1.0.4\nRouteServerPort2=8200\n",
		"escape.conf": "RouteServerIP1=\x1b[31m\nRouteServerPort1=8200\n",
		"hub.toml":    "[[listener]]\naddress = \"10.1.0.5:8200\"\nallow = [\"10.1.0.0/24\"]\n[[listener]]\naddress = \"0.0.0.0:8300\"\nallow = [\"10.1.0.0/24\"]\n",
		"tls.toml":    "[[listener]]\naddress = \"10.1.0.5:8200\"\ntls.certificate = \"hub.pem\"\ntls.key = \"hub.key\"\ntls.client_ca = \"ca.pem\"\n",
		"member.toml": "[[listener]]\naddress = \"10.1.0.5:8200\"\nallow = [\"10.1.0.0/24\"]\n[cluster]\nname = \"acme\"\nhub = 1\nservers = [\"nats://127.0.0.1:4222\"]\n",
		"local.toml":  "[[listener]]\naddress = \"10.1.0.5:8200\"\nallow = [\"10.1.0.0/24\"]\n[cluster]\nname = \"acme\"\nhub = 1\nservers = [\"nats://127.0.0.1:4222\"]\n[tenant.default]\ncluster = false\n",
		"long.conf":   strings.Repeat("#", mostOfFile+1),
	}
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"sound.conf", exitStopped, "sound.conf: 10.1.0.4:8200, 10.1.0.5:8200\n"},
		{"sound.conf sound.conf", exitStopped, "sound.conf: 10.1.0.4:8200, 10.1.0.5:8200\n"},
		{"sound.conf order.conf", exitStopped, "warning: order.conf:1: the route servers are 10.1.0.5:8200, 10.1.0.4:8200, and in sound.conf"},
		{"escape.conf", exitConfig, `escape.conf:1: RouteServerIP1: "\x1b[31m" is not an address but a name`},
		{"nowhere.conf escape.conf", exitConfig, "nowhere.conf: no such file"},
		{"long.conf", exitConfig, "long.conf has more than 1048576 bytes"},
		{"sound.conf --config hub.toml", exitStopped, "sound.conf: 10.1.0.4:8200, 10.1.0.5:8200\n"},
		{"sound.conf --config hub.toml --listen 10.1.0.5:8201", exitConfig, "the hub of hub.toml does not listen at 10.1.0.5:8200; connect to 10.1.0.5:8201"},
		{"sound.conf --config tls.toml", exitConfig, "sound.conf:3: RouteServerIP2: the listener 10.1.0.5:8200 of tls.toml expects TLS"},
		{"sound.conf --config member.toml", exitConfig, "sound.conf:3: the hub of member.toml is one of a cluster"},
		{"sound.conf --config member.toml --set cluster.standby_links=true", exitStopped, "sound.conf: 10.1.0.4:8200"},
		{"sound.conf --config local.toml", exitStopped, "sound.conf: 10.1.0.4:8200"},
		{"sound.conf --config nowhere.toml", exitConfig, "nowhere.toml: no such file"},
		{"", exitUsage, "check needs a msgserver.conf file"},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if code := run(append([]string{"msgserver", "check"}, strings.Fields(c.args)...), nil, &out, &out); code != c.code || !strings.Contains(out.String(), c.want) {
				t.Errorf("exit code %d, %q, want %d, %q", code, out.String(), c.code, c.want)
			}
			if strings.Contains(out.String(), "\x1b") {
				t.Error("it prints what a terminal obeys")
			}
		})
	}
	var out, errors bytes.Buffer
	if code := run([]string{"msgserver", "check", "--json", "sound.conf", "escape.conf"}, nil, &out, &errors); code != exitConfig {
		t.Errorf("--json: exit code %d", code)
	}
	var report fleetReport
	if err := json.Unmarshal(out.Bytes(), &report); err != nil || len(report.Files) != 2 || report.Files[0].RouteServers[1] != "10.1.0.5:8200" || len(report.Findings) != 2 || report.Findings[0].Line != 1 {
		t.Errorf("--json prints %s, %v", out.String(), err)
	}
}
