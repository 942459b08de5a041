package main

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
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts say what the command does, as its manual would.
func TestScripts(t *testing.T) {
	t.Parallel()
	runScripts(t, "testdata/script")
}

// runScripts runs the scripts of a folder.
func runScripts(t *testing.T, dir string) {
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GOGC", os.Getenv("GOGC"))
			env.Values["worker"] = &scriptWorker{startWorker(env.T().(testing.TB)), slices.Clone(env.Vars)}
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
			"setenv": setenv,
			"serves": serves,
		},
	})
}

// A scriptWorker runs the commands of a script, with the environment env.
type scriptWorker struct {
	*worker
	env []string
}

// exits is the scripts' command that runs switchyard and wants an exit code of it:
//
//	exits 78 switchyard check
//	exits 0 switchyard policy fmt - <routes.toml
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if err != nil || neg || args[1] != "switchyard" {
		ts.Fatalf("usage: exits CODE switchyard ARGUMENT... [<FILE]")
	}
	w, dir := ts.Value("worker").(*scriptWorker), ts.MkAbs(".")
	k := task{Dir: dir, Args: args[2:], Env: append(slices.Clone(w.env), "PWD="+dir)}
	if file, ok := strings.CutPrefix(args[len(args)-1], "<"); ok {
		k.Args, k.Stdin = args[2:len(args)-1], ts.MkAbs(file)
	}
	r, err := w.run(k)
	ts.Check(err)
	ts.Stdout().Write(r.Stdout)
	ts.Stderr().Write(r.Stderr)
	if r.Code != want {
		ts.Fatalf("exit code %d, want %d", r.Code, want)
	}
}

// setenv is the scripts' command that sets a variable for the exits that follow:
//
//	setenv SWITCHYARD_PEER__TIMEOUT=40s
func setenv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: setenv NAME=VALUE")
	}
	w := ts.Value("worker").(*scriptWorker)
	w.env = append(w.env, args[0])
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
