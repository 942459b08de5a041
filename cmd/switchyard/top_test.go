//go:build full || race

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"switchyard/cmd/switchyard/client/top"
)

// asCommandHere returns switchyard as a process of its own, not started yet.
func asCommandHere(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe := executable(t)
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "TERM=xterm")
	return cmd
}

// asking returns a command that asks the process, not started yet.
func asking(t *testing.T, p *process, args ...string) *exec.Cmd {
	t.Helper()
	address := p.expect(`"msg":"admin"`)["address"].(string)
	return asCommandHere(t, append(args, "--set", "admin.address="+address)...)
}

// begin starts a command, and ends it with the test at the latest.
func begin(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
}

// ended waits for a command's end, with that exit code.
func ended(t *testing.T, cmd *exec.Cmd, want int) {
	t.Helper()
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != want {
		t.Fatalf("%v: exit code %d, want %d", cmd.Args, got, want)
	}
}

// The rates contain what peers send while top measures.
func TestTopOnce(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	a, b := p.dial(), p.dial()
	var out bytes.Buffer
	cmd := asking(t, p, "top", "--once", "--json", "--interval", "1s")
	cmd.Stdout, cmd.Stderr = &out, t.Output()
	begin(t, cmd)
	done := make(chan struct{})
	go func() {
		defer close(done)
		cmd.Wait()
	}()
	sent := 0
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for measuring := true; measuring; sent++ {
		select {
		case <-done:
			measuring = false
		case <-pace.C:
		}
		m := chat(uint16(sent), "hello")
		a.say(m)
		b.expect(m)
	}
	ended(t, cmd, exitStopped)
	var s top.Report
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if len(s.Tenants) != 1 || len(s.Commands) == 0 || len(s.Peers) != 2 || s.Sessions != 2 || s.Seconds < 0.5 {
		t.Fatalf("%s", out.String())
	}
	tenant, command, first := s.Tenants[0], s.Commands[0], s.Peers[0]
	if tenant.Tenant != "default" || tenant.Sessions != 2 || tenant.Policy.Name != "teamtalk" || tenant.Rates.PDUsIn <= 0 || tenant.Rates.PDUsOut <= 0 {
		t.Errorf("%+v", tenant)
	}
	if command.Command != "CID_MSG_DATA" || command.Rate <= 0 || command.ByteRate <= command.Rate || command.PDUs > uint64(sent) || command.Actions["broadcast-except-sender"] == 0 {
		t.Errorf("%+v of %d", command, sent)
	}
	if first.Peer != a.LocalAddr().String() || first.Rates.PDUsIn <= 0 || first.Rates.BytesIn <= s.Peers[1].Rates.BytesIn {
		t.Errorf("%+v", first)
	}
}

func TestTopOnceInterrupted(t *testing.T) {
	t.Parallel()
	looked := make(chan struct{}, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/snapshot" {
			fmt.Fprint(w, "{}")
			return
		}
		fmt.Fprint(w, "{}")
		looked <- struct{}{}
	}))
	defer s.Close()
	cmd := asCommandHere(t, "top", "--once", "--interval", "1h", "--set", "admin.address="+strings.TrimPrefix(s.URL, "http://"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	begin(t, cmd)
	<-looked
	cmd.Process.Signal(syscall.SIGTERM)
	ended(t, cmd, exitForced)
	if want := "switchyard: interrupted before the interval was over\n"; stderr.String() != want {
		t.Errorf("it says %q, want %q", stderr.String(), want)
	}
}

// A server of before says nothing of this; one that refuses does.
func TestTopOfAnOlderServer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answer http.HandlerFunc
		code   int
		says   string
	}{
		{http.NotFound, exitUnavailable, "it is older than this command; upgrade the server"},
		{func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "16 streams of events are open", http.StatusTooManyRequests)
		}, exitUnavailable, "16 streams of events are open"},
		{func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(401)
			fmt.Fprint(w, `{"error":"this needs a token"}`)
		}, exitUsage, "name the file with the token by --token-file"},
		{func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "<html>") }, exitUnavailable, "is it the right address"},
	} {
		s := httptest.NewServer(c.answer)
		address := "admin.address=" + strings.TrimPrefix(s.URL, "http://")
		for _, command := range [][]string{{"top", "--once"}, {"tap"}} {
			_, stderr := runHere(t, c.code, append(command, "--set", address)...)
			if !strings.Contains(stderr, c.says) {
				t.Errorf("%v: %q, want %q", command, stderr, c.says)
			}
		}
		s.Close()
	}
}
