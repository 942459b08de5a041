package deploy

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// unit reads a unit file: the values of each "Section.Key" in order, empty ones included.
func unit(t *testing.T, name string) map[string][]string {
	t.Helper()
	settings := map[string][]string{}
	section := ""
	for line := range strings.Lines(read(t, name)) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, "=")
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
		case ok && !strings.HasSuffix(line, `\`):
			settings[section+"."+key] = append(settings[section+"."+key], value)
		default:
			t.Fatalf("%s: %q is not understood", name, line)
		}
	}
	return settings
}

// service returns a function that returns the value of a key of the unit's [Service].
func service(t *testing.T) func(key string) string {
	t.Helper()
	settings := unit(t, filepath.Join("systemd", "switchyard.service"))
	return func(key string) string {
		t.Helper()
		if len(settings["Service."+key]) != 1 {
			t.Fatalf("%s has the values %q, want one", key, settings["Service."+key])
		}
		return settings["Service."+key][0]
	}
}

var span = regexp.MustCompile(`^(\d+)(s|min)$`)

func seconds(t *testing.T, text string) time.Duration {
	t.Helper()
	found := span.FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("%q is not a time in s or min", text)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n) * map[string]time.Duration{"s": time.Second, "min": time.Minute}[found[2]]
}

// The unit gives the program as much time as its configuration does, and a margin.
func TestUnitTimes(t *testing.T) {
	get := service(t)
	drain := shippedTime(t, "drain", "timeout")
	if got, want := seconds(t, get("TimeoutStopSec")), drain+15*time.Second; got != want {
		t.Errorf("TimeoutStopSec is %v, want %v for a drain of %v", got, want, drain)
	}
	if source := read(t, filepath.Join(root, "cmd", "switchyard", "server", "notify.go")); !strings.Contains(source, "stopMargin = 15 * time.Second") {
		t.Error("the program and the unit add different margins to the drain")
	}
	if got, load := seconds(t, get("TimeoutStartSec")), shippedTime(t, "wasm", "load_time"); got < 2*load {
		t.Errorf("TimeoutStartSec is %v, and loading one policy may take %v", got, load)
	}
	if got := seconds(t, get("WatchdogSec")); got < 10*time.Second || got > time.Minute {
		t.Errorf("WatchdogSec is %v", got)
	}
	files, err := strconv.Atoi(get("LimitNOFILE"))
	if err != nil {
		t.Fatal(err)
	}
	connections, err := strconv.Atoi(shipped(t, "[listener]", "connections"))
	if err != nil {
		t.Fatal(err)
	}
	if files < 2*connections {
		t.Errorf("LimitNOFILE is %d, and a listener takes %d connections", files, connections)
	}
}

func TestUnitSettings(t *testing.T) {
	get := service(t)
	for key, want := range map[string]string{
		"Type":             "notify-reload",
		"User":             "switchyard",
		"StateDirectory":   "switchyard",
		"Environment":      "XDG_CACHE_HOME=%S", // so that "auto" is in the state's folder
		"RuntimeDirectory": "switchyard",        // where docs/operations.md has the admin socket
	} {
		if got := get(key); got != want {
			t.Errorf("%s=%s, want %s", key, got, want)
		}
	}
	settings := unit(t, "systemd/switchyard.service")
	for key, why := range map[string]string{
		"MemoryDenyWriteExecute": "policies would be interpreted",
		"ProcSubset":             "listeners would queue 128 connections",
		"ExecReload":             "systemd sends SIGHUP itself, and waits",
	} {
		if got := settings["Service."+key]; got != nil {
			t.Errorf("%s=%s: %s", key, got, why)
		}
		if key != "ExecReload" && !strings.Contains(read(t, "systemd/switchyard.service"), "\n# "+key) {
			t.Errorf("the unit does not say why it lacks %s", key)
		}
	}
	older := unit(t, "systemd/before-253.conf")
	if want := map[string][]string{"Service.Type": {"notify"}, "Service.ExecReload": {"/bin/kill -HUP $MAINPID"}}; fmt.Sprint(older) != fmt.Sprint(want) {
		t.Errorf("before-253.conf has %v, want %v", older, want)
	}
}
