//go:build full

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// firstStepsTime is how long all commands may take. It only costs time if the test fails.
const firstStepsTime = 5 * time.Minute

// All commands of docs/first-steps.md, in one shell: two msg_servers are in the tenants that their
// certificates name, others are refused, and the signed policy is reloaded.
func TestFirstSteps(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is not installed: apt-get install %s", tool, tool)
		}
	}
	dir, bin := t.TempDir(), t.TempDir()
	if err := os.Symlink(executable(t), filepath.Join(bin, "switchyard")); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(document(t, filepath.Join(root, "docs", "first-steps.md")), "127.0.0.1:8243", freeAddress(t))
	printed := runScript(t, dir, scriptOf(examplesOf(text)), "PATH="+bin+":"+os.Getenv("PATH"), asCommand+"=1",
		"XDG_CACHE_HOME="+t.TempDir(), "SWITCHYARD_ADMIN__ADDRESS=127.0.0.1:0", "SWITCHYARD_PEER__FIRST_PDU=1h", "SWITCHYARD_PEER__TIMEOUT=1h", "SWITCHYARD_WASM__LOAD_TIME=1m")
	for _, want := range []string{
		`127\.0\.0\.1:\d+ +acme +\d.* dns:acme-1\.msgserver\.test`,
		`127\.0\.0\.1:\d+ +globex +\d.* dns:globex-1\.msgserver\.test`,
		`"connection refused".*"tls-no-certificate"`,
		`"connection refused".*"tls-unknown-ca"`,
		`refused at the signature gate`,
		`"policy reloaded".*"acme"`,
		`\d +\S+ +acme +at-once`,
	} {
		if !regexp.MustCompile(want).MatchString(printed) {
			t.Errorf("%s is not in what is printed:\n%s", want, printed)
		}
	}
}

// scriptOf returns the examples as one script: files are written, and commands run in the order of
// the document. One whose exit code is printed is to fail.
func scriptOf(examples []example) string {
	var script strings.Builder
	for _, e := range examples {
		switch {
		case e.file != "":
			fmt.Fprintf(&script, "cat >%s <<'END'\n%s\nEND\n", e.file, strings.Join(e.lines, "\n"))
		case e.language == "sh":
			script.WriteString(strings.Join(e.lines, "\n") + "\n")
		case e.language == "console":
			for _, line := range e.lines {
				command, ok := strings.CutPrefix(line, "$ ")
				if command, fails := strings.CutSuffix(command, "; echo $?"); ok && fails {
					fmt.Fprintf(&script, "! %s\n", command)
				} else if ok {
					script.WriteString(command + "\n")
				}
			}
		}
	}
	return script.String()
}

// runScript runs a script of which no command may fail, and returns what it prints. All that it
// has started is ended.
func runScript(t *testing.T, dir, script string, env ...string) string {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	shell := exec.Command("bash", "-e", "-c", script)
	shell.Dir, shell.Env, shell.Stdout, shell.Stderr = dir, append(os.Environ(), env...), out, out
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	end := func() { syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }
	late := time.AfterFunc(firstStepsTime, end)
	err = shell.Wait()
	late.Stop()
	end()
	printed, readError := os.ReadFile(out.Name())
	log, _ := os.ReadFile(filepath.Join(dir, "hub.log"))
	if err != nil || readError != nil {
		t.Fatalf("%v, %v; it prints\n%s\nthe hub logs\n%s", err, readError, printed, log)
	}
	return string(printed)
}
