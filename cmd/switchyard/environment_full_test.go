//go:build full && linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// environment is a folder that every user can read, with this program and a configuration whose
// policy has a trial.
func environment(t *testing.T) (dir, exe string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "switchyard")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	exe = filepath.Join(dir, "switchyard")
	for from, to := range map[string]string{"/proc/self/exe": exe, "../../policy/wasm/testdata/sound.wasm": filepath.Join(dir, "p.wasm")} {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "c.toml"), []byte("[tenant.default]\npolicy = \"file:p.wasm\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir, exe
}

// Policies are loaded in the places where a service runs: with a trial, or with a warning that says
// why there is none and what to do.
func TestEnvironments(t *testing.T) {
	dir, exe := environment(t)
	const without = "policies cannot be tried in another process: "
	for name, c := range map[string]struct {
		root bool     // only root can make it, itself or by sudo, as .ci/run does
		wrap []string // commands that make it
		say  string   // "": it has a trial
	}{
		"as it is":            {false, nil, ""},
		"another user":        {true, []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}, ""},
		"address space":       {false, []string{"prlimit", "--as=4294967296"}, ""},
		"few processes":       {true, []string{"setpriv", "--reuid=64321", "--regid=64321", "--clear-groups", "prlimit", "--nproc=64"}, ""},
		"few descriptors":     {false, []string{"prlimit", "--nofile=10"}, without + "start "},
		"no proc":             {true, []string{"unshare", "--mount", "sh", "-c", `mount -t tmpfs none /proc && exec "$0" "$@"`}, "mount /proc"},
		"read-only":           {true, []string{"unshare", "--mount", "sh", "-c", `mount -o remount,bind,ro / && exec "$0" "$@"`}, ""},
		"little stack":        {false, []string{"prlimit", "--stack=65536"}, ""},
		"one processor, nice": {false, []string{"nice", "-n", "19", "env", "GOMAXPROCS=1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			env := []string{"PATH=" + os.Getenv("PATH"), asCommand + "=1", "HOME=/nonexistent"}
			command := slices.Concat([]string{"env", "-i"}, env, c.wrap, []string{exe, "check", "--config", filepath.Join(dir, "c.toml")})
			if c.root && os.Getuid() != 0 {
				command = append([]string{"sudo", "-n"}, command...)
			}
			cmd := exec.Command(command[0], command[1:]...)
			out, err := cmd.CombinedOutput()
			if text := string(out); err != nil || c.say == "" && strings.Contains(text, without) || !strings.Contains(text, c.say) {
				t.Errorf("%v, %v; want it to say %q\n%s", command, err, c.say, text)
			}
		})
	}
}

// A restart on a machine that is busy with other work does not end with exit code 78. The loops leave
// the server some 1.5 % of a core.
func TestStartOnAStarvedMachine(t *testing.T) {
	dir, exe := environment(t)
	for range runtime.NumCPU() {
		loop := exec.Command("sh", "-c", "while :; do :; done")
		if err := loop.Start(); err != nil {
			t.Fatal(err)
		}
		defer loop.Wait()
		defer loop.Process.Kill()
	}
	cmd := exec.Command("nice", "-n", "19", exe, "--config", filepath.Join(dir, "c.toml"), "--listen", "127.0.0.1:0",
		"--set", "log.format=json", "--set", "wasm.load_time=500ms")
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	p := launch(t, cmd)
	p.expectWithin(10*time.Minute, 0, `"msg":"serving"`)
	t.Logf("tried again %d times", p.count("trying again"))
}
