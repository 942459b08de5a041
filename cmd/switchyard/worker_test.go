package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"switchyard/policy/command/custom"
)

// asWorker makes the test's program run the commands that it reads from standard input.
const asWorker = "SWITCHYARD_TEST_AS_WORKER"

// A worker is a process that runs commands of switchyard one after another, each as if it were a
// process of its own in its folder, with its environment. A command then costs no start.
type worker struct {
	tasks   *json.Encoder
	results *json.Decoder
}

// A task is a command for a worker. Stdin is the path of a file, or empty. Merged asks for standard
// error in Stdout, as 2>&1 does.
type task struct {
	Dir, Stdin string
	Args, Env  []string
	Merged     bool
}

// A result is what the command of a task has printed, and its exit code.
type result struct {
	Stdout, Stderr []byte
	Code           int
}

// startWorker starts a worker, which ends with the test.
func startWorker(t testing.TB) *worker {
	t.Helper()
	cmd := exec.Command(executable(t))
	cmd.Env, cmd.Stderr = append(os.Environ(), asWorker+"=1"), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return &worker{json.NewEncoder(in), json.NewDecoder(out)}
}

// run has the task carried out.
func (w *worker) run(k task) (r result, err error) {
	if err := w.tasks.Encode(k); err != nil {
		return r, err
	}
	err = w.results.Decode(&r)
	return r, err
}

// work is the worker's main function.
func work() {
	tasks, results := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var k task
		if err := tasks.Decode(&k); err == io.EOF {
			return
		} else if err != nil {
			panic(err)
		}
		if err := results.Encode(k.carryOut()); err != nil {
			panic(err)
		}
	}
}

// carryOut runs the command. What commands keep in the process is as in one that has just begun.
func (k task) carryOut() result {
	if err := os.Chdir(k.Dir); err != nil {
		panic(err)
	}
	if k.Stdin == "" {
		k.Stdin = os.DevNull
	}
	stdin, err := os.Open(k.Stdin)
	if err != nil {
		panic(err)
	}
	defer stdin.Close()
	os.Stdin = stdin
	os.Clearenv()
	for _, v := range k.Env {
		name, value, _ := strings.Cut(v, "=")
		os.Setenv(name, value)
	}
	(*custom.Set)(nil).Use() // the names in the configuration of the command before
	var stdout, stderr bytes.Buffer
	errors := &stderr
	if k.Merged {
		errors = &stdout
	}
	code := run(k.Args, os.Environ(), &stdout, errors)
	return result{stdout.Bytes(), stderr.Bytes(), code}
}

// runIn runs a command in a folder until it ends by itself.
func runIn(t *testing.T, dir string, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if _, err := os.Stat(filepath.Join(dir, "config.toml")); err == nil {
		args = append(args, "--config", filepath.Join(dir, "config.toml"))
	}
	if code := run(args, []string{"XDG_CACHE_HOME=" + dir}, &out, &errs); code != want {
		t.Errorf("%q: exit code %d, want %d: %s", args, code, want, errs.String())
	}
	return out.String(), errs.String()
}
