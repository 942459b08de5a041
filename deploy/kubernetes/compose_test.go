package kubernetes

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The parts of a compose file that ours uses.
type compose struct {
	Name     string
	Services map[string]composed
	Volumes  map[string]any
	Bus      any `yaml:"x-bus"`
	Hub      any `yaml:"x-hub"`
}

type composed struct {
	Image, User, Restart, Hostname string
	ReadOnly                       bool     `yaml:"read_only"`
	CapDrop                        []string `yaml:"cap_drop"`
	SecurityOpt                    []string `yaml:"security_opt"`
	StopGracePeriod                string   `yaml:"stop_grace_period"`
	Command, Ports, Volumes        []string
	Environment                    map[string]string
}

// The compose file has three servers and three hubs, each with its own name, number, port and
// volume, and none with rights that it does not need.
func TestCompose(t *testing.T) {
	folder := filepath.Join(root, "deploy", "compose")
	text, err := os.ReadFile(filepath.Join(folder, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var c compose
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	if len(c.Services) != 6 || len(c.Volumes) != 6 {
		t.Errorf("%d services, %d volumes", len(c.Services), len(c.Volumes))
	}
	var servers, peers []string
	for n := range 3 {
		servers = append(servers, fmt.Sprintf(`"tls://bus%d:4222"`, n+1))
		peers = append(peers, fmt.Sprintf("bus%d:6222", n+1))
	}
	for n := 1; n <= 3; n++ {
		b, h := c.Services[fmt.Sprintf("bus%d", n)], c.Services[fmt.Sprintf("hub%d", n)]
		for _, s := range []composed{b, h} {
			if s.User != "65532:65532" || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) || s.Restart != "unless-stopped" {
				t.Errorf("got %+v", s)
			}
		}
		if b.Image != "yardbus" || b.Hostname != fmt.Sprintf("bus%d", n) || b.StopGracePeriod != "30s" || !slices.Equal(b.Volumes, []string{"./bus:/etc/yardbus:ro", fmt.Sprintf("bus%d:/var/lib/yardbus", n)}) {
			t.Errorf("got %+v", b)
		}
		if want := "--peers=" + strings.Join(peers, ","); !slices.Contains(b.Command, want) {
			t.Errorf("want %s in %q", want, b.Command)
		}
		if h.Image != "switchyard" || h.StopGracePeriod != "75s" || !slices.Equal(h.Volumes, []string{"./hub:/etc/switchyard:ro", fmt.Sprintf("hub%d:/var/lib/switchyard", n)}) ||
			h.Environment["SWITCHYARD_CLUSTER__HUB"] != fmt.Sprint(n) || !slices.Equal(h.Ports, []string{fmt.Sprintf("127.0.0.1:820%d:8200", n)}) {
			t.Errorf("got %+v", h)
		}
	}
	wantServes(t, c.Services["bus1"].Command)

	config, err := filepath.Abs(filepath.Join(folder, "hub", "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	out := run(t, t.TempDir(), 78, "check", "--config", config, "--set", "cluster.hub=1", "--set", "cluster.servers=nats://127.0.0.1:1", "--set", "cluster.credentials=", "--set", "cluster.ca=")
	if !strings.Contains(out, "cluster demo: no server of the bus is connected: nats://127.0.0.1:1") {
		t.Errorf("check says:\n%s", out)
	}
	if text, err := os.ReadFile(config); err != nil || !strings.Contains(string(text), "servers = ["+strings.Join(servers, ", ")+"]") {
		t.Errorf("the hubs' configuration is\n%s%v", text, err)
	}
}
