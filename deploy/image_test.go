//go:build full

package deploy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The program accepts the image's configuration, and its health check fails where no
// server runs.
func TestContainerProgram(t *testing.T) {
	config, err := filepath.Abs("container/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	if code, out := switchyard(t, "check", "--config", config); code != 0 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if code, out := switchyard(t, "health", "--address", "127.0.0.1:1"); code != 69 {
		t.Errorf("health without a server: exit code %d, want 69\n%s", code, out)
	}
}

// 'make image' builds images whose programs run with nothing but the image's files.
func TestImage(t *testing.T) {
	buildah := tool(t, "buildah", "buildah")
	if os.Geteuid() != 0 { // in a user namespace, where the user is root
		t.Log(execute(t, exec.CommandContext(t.Context(), buildah, "unshare", os.Args[0], "-test.run=^TestImage$")))
		return
	}
	globals, env := buildahStore(t)
	in := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), buildah, append(slices.Clone(globals), args...)...)
		cmd.Env = env
		return cmd
	}
	build := makeIn(t, released(t), "image", "ENGINE="+strings.Join(append([]string{buildah}, globals...), " "))
	build.Env = append(build.Env, env...)
	execute(t, build)

	// The image has the settings of the Containerfile.
	for field, want := range map[string]string{
		"{{.Docker.Config.User}}":             "65532:65532",
		"{{.Docker.Config.Entrypoint}}":       "[/switchyard]",
		"{{.Docker.Config.Healthcheck.Test}}": "[CMD /switchyard health --address 127.0.0.1:8280]",
		"{{.Docker.Config.StopSignal}}":       "SIGTERM",
	} {
		if got := strings.TrimSpace(execute(t, in("inspect", "--type", "image", "--format", field, "switchyard"))); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}

	// That of the bus has the program, which starts with its own folder.
	bus := strings.TrimSpace(execute(t, in("from", "yardbus")))
	if out, err := in("run", bus, "--", "/yardbus", "--store", "/var/lib/yardbus", "--listen", "0.0.0.0:4222").CombinedOutput(); err == nil || !strings.Contains(string(out), "yardbus: --listen 0.0.0.0:4222 is not a loopback address") {
		t.Errorf("a listener without TLS: %v\n%s", err, out)
	}

	container := strings.TrimSpace(execute(t, in("from", "switchyard")))
	if out := execute(t, in("run", container, "/switchyard", "version")); !strings.HasPrefix(out, "switchyard "+tag+"\n") {
		t.Errorf("version prints %s", out)
	}
	execute(t, in("run", container, "/switchyard", "check", "--config", "/etc/switchyard/config.toml"))

	// Free ports instead of the image's own, because the container shares this machine's network.
	serve := in("run", container, "/switchyard", "serve", "--config", "/etc/switchyard/config.toml",
		"--listen", "127.0.0.1:0", "--set", "admin.address=127.0.0.1:0", "--set", "log.format=json")
	serve.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	serve.WaitDelay = time.Second
	log, err := serve.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	group := -serve.Process.Pid
	late := time.AfterFunc(time.Minute, func() { syscall.Kill(group, syscall.SIGKILL) })
	defer late.Stop()
	defer serve.Wait()
	defer syscall.Kill(group, syscall.SIGKILL)
	lines := bufio.NewScanner(log)
	admin := logged(t, lines, "admin")["address"].(string)
	logged(t, lines, "serving")
	if out := execute(t, in("run", container, "/switchyard", "health", "--address", admin)); !strings.HasPrefix(out, "ok") {
		t.Errorf("health prints %q", out)
	}
	pid := descendant(t, serve.Process.Pid, "serve")
	if status := read(t, fmt.Sprintf("/proc/%d/status", pid)); !strings.Contains(status, "\nUid:\t65532\t65532\t65532\t65532\n") {
		t.Errorf("it runs as another user:\n%s", status)
	}
	// Other engines send the stop signal themselves; buildah does not.
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	logged(t, lines, "stopped")
	io.Copy(io.Discard, log)
}

// buildahStore returns the flags and the environment with which buildah keeps everything in a folder
// of this test.
func buildahStore(t *testing.T) (flags, env []string) {
	t.Helper()
	store := t.TempDir()
	return []string{"--storage-driver", "vfs", "--root", filepath.Join(store, "root"), "--runroot", filepath.Join(store, "run")},
		append(os.Environ(), "BUILDAH_ISOLATION=chroot", "BUILDAH_FORMAT=docker")
}

// descendant returns the process below pid that runs /switchyard with this first argument.
func descendant(t *testing.T, pid int, word string) int {
	t.Helper()
	for below := []int{pid}; len(below) > 0; below = below[1:] {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", below[0])) // it may have ended
		if args := strings.Split(string(line), "\x00"); len(args) > 1 && args[0] == "/switchyard" && args[1] == word {
			return below[0]
		}
		lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", below[0]))
		if err != nil {
			t.Fatal(err)
		}
		for _, list := range lists {
			children, _ := os.ReadFile(list)
			for _, child := range strings.Fields(string(children)) {
				n, err := strconv.Atoi(child)
				if err != nil {
					t.Fatal(err)
				}
				below = append(below, n)
			}
		}
	}
	t.Fatalf("no process below %d is /switchyard %s", pid, word)
	return 0
}

// logged reads a JSON log up to the line with a message, and returns that line.
func logged(t *testing.T, lines *bufio.Scanner, message string) map[string]any {
	t.Helper()
	var seen []string
	for lines.Scan() {
		seen = append(seen, lines.Text())
		line := map[string]any{}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line["msg"] == message {
			return line
		}
	}
	t.Fatalf("no line says %q:\n%s", message, strings.Join(seen, "\n"))
	return nil
}
