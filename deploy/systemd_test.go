package deploy

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// unit reads a unit: the values of "Section.Key", in their order. An empty value is one,
// too.
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
		t.Fatalf("%q is no time in s or min", text)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n) * map[string]time.Duration{"s": time.Second, "min": time.Minute}[found[2]]
}

// The program is not started again where that cannot help, and is where it can.
func TestUnitRestarts(t *testing.T) {
	get := service(t)
	args := strings.Fields(get("ExecStart"))[1:]
	if !slices.Equal(args, []string{"serve", "--config", "/etc/switchyard/config.toml"}) {
		t.Errorf("it is started with %q", args)
	}
	if code, out := switchyard(t, append(args, "--help")...); code != 0 {
		t.Errorf("%q: exit code %d:\n%s", args, code, out)
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	faulty := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(faulty, []byte("nonsense = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	kept := strings.Fields(get("RestartPreventExitStatus"))
	for _, c := range []struct {
		why   string
		args  []string
		again bool
	}{
		{"a wrong command line", []string{"serve", "--nonsense"}, false},
		{"a configuration with a fault", []string{"serve", "--config", faulty}, false},
		{"a policy that is refused", []string{"serve", "--policy", "file:" + faulty, "--listen", "127.0.0.1:0", "--set", "admin.address="}, false},
		{"an address in use", []string{"serve", "--listen", l.Addr().String(), "--set", "admin.address="}, true},
	} {
		code, out := switchyard(t, c.args...)
		if again := !slices.Contains(kept, strconv.Itoa(code)); again != c.again || code == 0 {
			t.Errorf("after %s, exit code %d: started again is %v, want %v\n%s", c.why, code, again, c.again, out)
		}
		kept = slices.DeleteFunc(kept, func(k string) bool { return k == strconv.Itoa(code) && c.why != "a configuration with a fault" })
	}
	if len(kept) > 0 {
		t.Errorf("exit codes %v prevent a restart, and nothing was seen that has them", kept)
	}
	if got := get("Restart"); got != "on-failure" {
		t.Errorf("Restart=%s", got)
	}
	if got := unit(t, "systemd/switchyard.service")["Unit.StartLimitIntervalSec"]; !slices.Equal(got, []string{"0"}) {
		t.Errorf("StartLimitIntervalSec=%v: after a while it would not be started again", got)
	}
}

// The unit's times are those of the configuration, and what the program adds to them.
func TestUnitTimes(t *testing.T) {
	get := service(t)
	drain := shippedTime(t, "drain", "timeout")
	if got, want := seconds(t, get("TimeoutStopSec")), drain+15*time.Second; got != want {
		t.Errorf("TimeoutStopSec is %v, want %v for a drain of %v", got, want, drain)
	}
	if source := read(t, filepath.Join(root, "cmd", "switchyard", "notify.go")); !strings.Contains(source, "stopMargin = 15 * time.Second") {
		t.Error("the program adds something else to the drain than the unit does")
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

// systemd itself finds nothing wrong with what is installed, and little that is exposed.
func TestUnitBySystemd(t *testing.T) {
	analyze := tool(t, "systemd-analyze", "systemd")
	at := t.TempDir()
	install(t, at, "PREFIX="+at, "SYSCONFDIR="+filepath.Join(at, "etc"))
	installed := filepath.Join(at, "lib", "systemd", "system", "switchyard.service")

	var version int
	if _, err := fmt.Sscanf(execute(t, exec.Command(analyze, "--version")), "systemd %d", &version); err != nil {
		t.Fatal(err)
	}
	old := version < 253
	if old {
		dropIn := installed + ".d"
		if err := os.Mkdir(dropIn, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dropIn, "before-253.conf"), []byte(read(t, "systemd/before-253.conf")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"verify", installed}
	if _, err := exec.LookPath("man"); err != nil {
		args = append(args, "--man=no")
	}
	verify := exec.Command(analyze, args...)
	verify.Env = append(os.Environ(), "MANPATH="+filepath.Join(at, "share", "man"))
	out, err := verify.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, installed) && strings.Contains(line, "Failed to parse service type, ignoring: notify-reload") && old {
			continue // what the drop-in is for
		}
		// It also speaks of the machine's other units.
		if strings.Contains(line, "switchyard") {
			t.Errorf("systemd %d: %s", version, line)
		}
	}
	if err != nil && !old {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}

	execute(t, exec.Command(analyze, "security", "--offline=true", "--threshold=15", "--no-pager", installed)) // in tenths
}

// The unit's user is made by what is installed beside it, and cannot log in.
func TestUserBySystemd(t *testing.T) {
	sysusers := tool(t, "systemd-sysusers", "systemd")
	at := t.TempDir()
	install(t, at, "DESTDIR="+at)
	execute(t, exec.Command(sysusers, "--root="+at))
	get := service(t)
	user := regexp.MustCompile(`(?m)^` + get("User") + `:.*:/usr/sbin/nologin$`)
	if made := read(t, filepath.Join(at, "etc", "passwd")); !user.MatchString(made) {
		t.Errorf("made are the users\n%s", made)
	}
	group := regexp.MustCompile(`(?m)^` + get("Group") + `:`)
	if made := read(t, filepath.Join(at, "etc", "group")); !group.MatchString(made) {
		t.Errorf("made are the groups\n%s", made)
	}
}
