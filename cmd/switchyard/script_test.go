package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts under testdata/script say what the command does, as its manual would.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GOGC", os.Getenv("GOGC"))
			for _, name := range []string{"component.wasm", "sound.wasm", "trap.wasm", "endless_loop.wasm", "slow_classify.wasm"} {
				guest, err := os.ReadFile("../../policy/wasm/testdata/" + name)
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), guest, 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"serves": serves,
		},
	})
}

// exits is the scripts' command that runs a program and wants an exit code of it:
//
//	exits 78 switchyard check
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if err != nil || neg {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	var exit *exec.ExitError
	got := 0
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// serves is the scripts' command that starts a server, which ends with the script. The variable
// admin is then the TCP address of its admin interface:
//
//	serves --config config.toml
func serves(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: serves ARGUMENT...")
	}
	exe, err := os.Executable()
	ts.Check(err)
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--set", "admin.address=127.0.0.1:0", "--set", "log.format=json"}, args...)
	cmd := exec.Command(exe, args...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), append(os.Environ(), asCommand+"=1", "XDG_CACHE_HOME="+ts.MkAbs("cache"), "XDG_STATE_HOME="+ts.MkAbs("state"))
	log, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ended := make(chan struct{})
	ts.Defer(func() {
		cmd.Process.Kill()
		<-ended
	})
	lines, serving := bufio.NewScanner(log), false
	for !serving && lines.Scan() {
		var l line
		json.Unmarshal(lines.Bytes(), &l) // a start that fails ends with a line for people
		switch l["msg"] {
		case "admin":
			if address := fmt.Sprint(l["address"]); strings.HasPrefix(address, "127.0.0.1:") { // and no socket
				ts.Setenv("admin", address)
			}
		case "serving":
			serving = true
		}
	}
	go func() {
		defer close(ended)
		io.Copy(io.Discard, log)
		cmd.Wait()
	}()
	if !serving {
		ts.Fatalf("%q does not serve; its last line is %s", args, lines.Bytes())
	}
}
