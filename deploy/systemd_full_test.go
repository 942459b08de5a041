//go:build full

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
)

// systemd restarts the program after failures that may pass, and not after those that an
// operator must mend.
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
		t.Errorf("exit codes %v prevent a restart, but none of these failures has them", kept)
	}
	if got := get("Restart"); got != "on-failure" {
		t.Errorf("Restart=%s", got)
	}
	if got := unit(t, "systemd/switchyard.service")["Unit.StartLimitIntervalSec"]; !slices.Equal(got, []string{"0"}) {
		t.Errorf("StartLimitIntervalSec=%v: after several failures systemd would give up", got)
	}
}

// systemd-analyze finds no fault in the installed unit, and rates its exposure as low.
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
	tool(t, "man", "man-db") // which systemd asks for the unit's documentation
	verify := exec.Command(analyze, "verify", installed)
	verify.Env = append(os.Environ(), "MANPATH="+filepath.Join(at, "share", "man"))
	out, err := verify.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, installed) && strings.Contains(line, "Failed to parse service type, ignoring: notify-reload") && old {
			continue // what the drop-in is for
		}
		// It also reports faults of the machine's other units.
		if strings.Contains(line, "switchyard") {
			t.Errorf("systemd %d: %s", version, line)
		}
	}
	if err != nil && !old {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}

	execute(t, exec.Command(analyze, "security", "--offline=true", "--threshold=15", "--no-pager", installed)) // in tenths
}

// The installed sysusers file creates the unit's user, who cannot log in.
func TestUserBySystemd(t *testing.T) {
	sysusers := tool(t, "systemd-sysusers", "systemd")
	at := t.TempDir()
	install(t, at, "DESTDIR="+at)
	execute(t, exec.Command(sysusers, "--root="+at))
	get := service(t)
	user := regexp.MustCompile(`(?m)^` + get("User") + `:.*:/usr/sbin/nologin$`)
	if made := read(t, filepath.Join(at, "etc", "passwd")); !user.MatchString(made) {
		t.Errorf("the users are\n%s", made)
	}
	group := regexp.MustCompile(`(?m)^` + get("Group") + `:`)
	if made := read(t, filepath.Join(at, "etc", "group")); !group.MatchString(made) {
		t.Errorf("the groups are\n%s", made)
	}
}
