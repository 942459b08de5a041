//go:build full || race

package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// A log that is not read blocks nothing: PDUs are routed, and the server stops as it should. When
// the log is read again, it says how many lines are missing.
func TestBlockedLog(t *testing.T) {
	t.Parallel()
	exe := executable(t)
	cmd := exec.Command(exe, "--listen", "127.0.0.1:0", "--set", "log.format=json", "--set", "admin.socket=a.sock")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), asCommand+"=1", "XDG_CACHE_HOME="+t.TempDir(), "SWITCHYARD_ADMIN__ADDRESS=127.0.0.1:0")
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stderr = in
	begin(t, cmd)
	in.Close()
	p := &process{t: t, cmd: cmd, address: addressIn(t, out)}
	fillLog(t, filepath.Join(cmd.Dir, "a.sock"))
	north, south := p.dial(), p.dial() // connected last, so that they receive no heartbeat
	m := pdutest.Raw(pdu.CID_MSG_DATA, 1, nil)
	north.say(pdutest.Raw(0x0999, 1, nil)) // whose drop is logged
	for range 100 {
		north.say(m)
		south.expect(m)
	}
	lines := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(out)
		lines <- string(text)
	}()
	north.settle()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	text := <-lines
	if !strings.Contains(text, "log lines were lost") || !strings.Contains(text, `"msg":"stopped"`) {
		t.Errorf("the log ends with %s", text[max(0, len(text)-1000):])
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitStopped {
		t.Errorf("exit code %d", code)
	}
}

// fillLog makes the server write more to its log than it and the pipe hold. Operators' requests
// are logged one by one; lines that a peer can cause are limited.
func fillLog(t *testing.T, socket string) {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// In bytes: what is being written and what waits, the pipe, and a line.
	const buffered, pipe, line = 2 << 20, 64 << 10, 140
	const requests = (buffered + pipe) / line * 11 / 10
	request := "PUT /api/v1/log-level HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"level\":\"info\"}"
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() { io.WriteString(conn, strings.Repeat(request, requests)) })
	r := bufio.NewReader(conn)
	for range requests {
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Fatal(response.Status)
		}
	}
}

// addressIn reads a log until the server serves, and returns its address.
func addressIn(t *testing.T, out io.Reader) (address string) {
	t.Helper()
	var text []byte
	one := make([]byte, 1)
	for !strings.Contains(string(text), `"msg":"serving"`) {
		if _, err := out.Read(one); err != nil {
			t.Fatalf("%v after %s", err, text)
		}
		text = append(text, one[0])
	}
	_, after, _ := strings.Cut(string(text), `"msg":"listening","address":"`)
	address, _, _ = strings.Cut(after, `"`)
	if address == "" {
		t.Fatalf("no address in %s", text)
	}
	return address
}

// pipedLog starts switchyard with a pipe as its log, and returns the reading end and the address
// of its listener.
func pipedLog(t *testing.T) (cmd *exec.Cmd, log *os.File, address string) {
	t.Helper()
	log, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	exe := executable(t)
	cmd = exec.Command(exe, "--listen", "127.0.0.1:0", "--set", "log.format=json", "--set", "log.level=debug")
	cmd.Env = append(os.Environ(), asCommand+"=1", "XDG_CACHE_HOME="+t.TempDir(), "SWITCHYARD_ADMIN__ADDRESS=")
	cmd.Dir, cmd.Stderr = t.TempDir(), end
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end.Close()
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait(); log.Close() })
	for s := bufio.NewScanner(log); s.Scan(); {
		var l line
		json.Unmarshal(s.Bytes(), &l)
		if l["msg"] == "listening" {
			address = l["address"].(string)
		}
		if l["msg"] == "serving" {
			return cmd, log, address
		}
	}
	t.Fatal("it does not serve")
	return nil, nil, ""
}

// The server continues, and stops as always, when the reader of its log is gone.
func TestLogWithoutReader(t *testing.T) {
	t.Parallel()
	cmd, log, address := pipedLog(t)
	log.Close()
	for range 3 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		peer{t, conn}.settle()
		conn.Close() // which is logged
	}
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitStopped {
		t.Errorf("it ended with %v, want exit code %d", cmd.ProcessState, exitStopped)
	}
}

// An error that nothing takes does not keep a command from ending.
func TestErrorThatNothingTakes(t *testing.T) {
	t.Parallel()
	out, in := io.Pipe()
	defer out.Close()
	if code := run([]string{"nonsense"}, nil, io.Discard, in); code != exitUsage {
		t.Errorf("exit code %d, want %d", code, exitUsage)
	}
}
