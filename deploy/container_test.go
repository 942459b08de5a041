package deploy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An instruction is one of a Containerfile.
type instruction struct{ name, text string }

// instructions reads a Containerfile as far as ours goes: comments, and lines that a
// backslash goes on with. A parser of all of it is larger than this folder.
func instructions(t *testing.T, text string) (all []instruction) {
	t.Helper()
	text = regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`\\\n\s*`).ReplaceAllString(text, "")
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name != "" {
			all = append(all, instruction{name, rest})
		}
	}
	return all
}

// exec form is a JSON list of strings, which no shell reads.
func execForm(t *testing.T, text string) (words []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &words); err != nil || len(words) == 0 {
		t.Errorf("%q is not in exec form, so a shell would run it, which is not there: %v", text, err)
	}
	return words
}

func TestContainerfile(t *testing.T) {
	got := map[string][]string{}
	for _, i := range instructions(t, read(t, "container/Containerfile")) {
		got[i.name] = append(got[i.name], i.text)
	}
	for name, want := range map[string][]string{
		"FROM":       {"scratch"},
		"ARG":        {"TARGETARCH=amd64"},
		"USER":       {"65532:65532"},
		"ENV":        {"XDG_CACHE_HOME=/var/lib"},
		"EXPOSE":     {"8200"},
		"STOPSIGNAL": {"SIGTERM"},
		"COPY": {
			"--chmod=755 switchyard-linux-${TARGETARCH} /switchyard",
			"--chmod=644 config.toml /etc/switchyard/config.toml",
			"--chown=65532:65532 --chmod=700 state /var/lib/switchyard",
		},
	} {
		if !slices.Equal(got[name], want) {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	for _, name := range []string{"ENTRYPOINT", "CMD", "HEALTHCHECK"} {
		if len(got[name]) != 1 {
			t.Fatalf("%s is %q, want one", name, got[name])
		}
	}
	if len(got) != 10 {
		t.Errorf("there are instructions that this test does not know: %v", got)
	}
	if entry := execForm(t, got["ENTRYPOINT"][0]); !slices.Equal(entry, []string{"/switchyard"}) {
		t.Errorf("ENTRYPOINT is %q", entry)
	}
	serve := execForm(t, got["CMD"][0])
	if want := []string{"serve", "--config", "/etc/switchyard/config.toml"}; !slices.Equal(serve, want) {
		t.Errorf("CMD is %q, want %q", serve, want)
	}
	options, health, _ := strings.Cut(got["HEALTHCHECK"][0], "CMD ")
	if !strings.Contains(options, "--timeout=6s") { // the command gives up after 5s
		t.Errorf("HEALTHCHECK has the options %q", options)
	}
	if want := []string{"/switchyard", "health", "--address", shipped(t, "admin", "address")}; !slices.Equal(execForm(t, health), want) {
		t.Errorf("HEALTHCHECK asks by %q, want %q", health, want)
	}
	if code, out := switchyard(t, "health", "--address", "127.0.0.1:1"); code != 69 {
		t.Errorf("health without a server: exit code %d, want 69\n%s", code, out)
	}
}

func TestContainerConfiguration(t *testing.T) {
	config, err := filepath.Abs("container/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	if code, out := switchyard(t, "check", "--config", config); code != 0 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	text := read(t, config)
	if !strings.Contains(text, `address = ":8200"`) || !strings.Contains(text, "\nallow = [") || strings.Contains(text, "insecure_open") {
		t.Errorf("want a listener that other machines reach, those of private networks:\n%s", text)
	}
}

// 'make image' makes an image, and what is in it runs as an engine runs it, with
// nothing but itself.
func TestImage(t *testing.T) {
	buildah := tool(t, "buildah", "buildah")
	if os.Geteuid() != 0 {
		t.Skip("buildah needs the rights of root for what this test does; run it as root, or in 'buildah unshare'")
	}
	store := t.TempDir()
	globals := []string{"--storage-driver", "vfs", "--root", filepath.Join(store, "root"), "--runroot", filepath.Join(store, "run")}
	env := append(os.Environ(), "BUILDAH_ISOLATION=chroot", "BUILDAH_FORMAT=docker")
	in := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), buildah, append(slices.Clone(globals), args...)...)
		cmd.Env = env
		return cmd
	}
	build := makeIn(t, released(t), "image", "ENGINE="+strings.Join(append([]string{buildah}, globals...), " "))
	build.Env = append(build.Env, env...)
	execute(t, build)

	// What its maker meant is in the image.
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

	container := strings.TrimSpace(execute(t, in("from", "switchyard")))
	if out := execute(t, in("run", container, "/switchyard", "version")); !strings.HasPrefix(out, "switchyard "+tag+"\n") {
		t.Errorf("version prints %s", out)
	}
	execute(t, in("run", container, "/switchyard", "check", "--config", "/etc/switchyard/config.toml"))

	// Free ports instead of the image's own, as the network is this machine's here.
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
	// An engine sends it to what it started, and buildah to nobody.
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	logged(t, lines, "stopped")
	io.Copy(io.Discard, log)
}

// descendant returns the process below another one whose first argument is this word.
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

// logged reads a log on to the line with a message, and returns that.
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
