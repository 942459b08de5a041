//go:build full || race

package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"switchyard/pdu/pdutest"
)

// A reload moves a listener between an address and an unspecified one of the same port. Peers that
// connect all the time are all served.
func TestListenerMovesWithinItsPort(t *testing.T) {
	t.Parallel()
	port := portOfNobody(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	conf := func(host string) string {
		return fmt.Sprintf("[reload]\nwatch = false\n[[listener]]\naddress = \"%s:%s\"\ninsecure_open = true\naccept_rate = 0\n[tenant.default]\n", host, port)
	}
	write(t, path, conf("127.0.0.1"))
	exe := executable(t)
	cmd := exec.Command(exe, "--config", path, "--set", "log.format=json")
	cmd.Dir = dir
	p := startCommand(t, cmd)
	stop := make(chan struct{})
	var connecting sync.WaitGroup
	connecting.Go(func() { connectUntil(t, net.JoinHostPort("127.0.0.1", port), stop) })
	hosts := []string{"0.0.0.0", "127.0.0.1", "[::]"}
	if full {
		hosts = append(hosts, "localhost", "[::ffff:127.0.0.1]", "", "127.0.0.1")
	}
	for i, host := range hosts {
		from := p.logged()
		replace(t, path, conf(host)+fmt.Sprintf("[peer]\nmax_pdu = \"%dKiB\"\n", 100+i)) // so that something changes
		p.signal(syscall.SIGHUP)
		if got := p.expectFrom(from, `"msg":"configuration re`); got["error"] != nil {
			t.Errorf("%q: %v", host, got["error"])
		}
	}
	close(stop)
	connecting.Wait()
}

// A reload moves the address of metrics as it does listeners, and exchanges it with theirs. Only the
// address of the admin interface stays taken until a restart.
func TestMetricsMoveWithinTheirPort(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.toml")
	save := func(listener, metrics string) {
		const text = "[reload]\nwatch = false\n[tenant.default]\n[[listener]]\naddress = \"%s\"\nallow = [\"127.0.0.1\"]\n[metrics]\naddress = \"%s\"\nallow = [\"127.0.0.1\"]\n"
		replace(t, path, fmt.Sprintf(text, listener, metrics))
	}
	a, b := portOfNobody(t), portOfNobody(t)
	for a == b {
		b = portOfNobody(t)
	}
	save("127.0.0.1:"+a, "127.0.0.1:"+b)
	p := startCommand(t, exec.Command(executable(t), "--config", path, "--set", "log.format=json"))
	admin := p.expect(`"msg":"admin"`)["address"].(string)
	reload := func(listener, metrics string) any {
		from := p.logged()
		save(listener, metrics)
		p.signal(syscall.SIGHUP)
		return p.expectFrom(from, `"msg":"configuration re`)["error"]
	}
	for _, c := range []struct{ listener, metrics string }{
		{"127.0.0.1:" + a, "0.0.0.0:" + b},
		{"127.0.0.1:" + a, "localhost:" + b},
		{"127.0.0.1:" + a, "127.0.0.1:" + b}, // the same one
		{"127.0.0.1:" + b, ":" + a},          // exchanged
		{"0.0.0.0:" + a, "[::]:" + b},        // and back
	} {
		if fault := reload(c.listener, c.metrics); fault != nil {
			t.Fatalf("listener %s, metrics %s: %v", c.listener, c.metrics, fault)
		}
		_, port, _ := net.SplitHostPort(c.metrics)
		if status, text := scrape(t, "http://127.0.0.1:"+port+"/metrics", "", nil); status != 200 {
			t.Errorf("listener %s, metrics %s: %d %s", c.listener, c.metrics, status, text)
		}
		_, port, _ = net.SplitHostPort(c.listener)
		p.address = "127.0.0.1:" + port
		p.dial().settle()
	}
	for _, c := range []struct{ listener, metrics string }{{admin, "127.0.0.1:" + b}, {"127.0.0.1:" + a, admin}} {
		if fault := fmt.Sprint(reload(c.listener, c.metrics)); !strings.Contains(fault, "the admin interface of this server has it until a restart") {
			t.Errorf("listener %s, metrics %s: %s", c.listener, c.metrics, fault)
		}
	}
}

// portOfNobody returns a port that is free on all addresses, and from which no outgoing connection
// comes: the kernel takes those from 32768 on.
func portOfNobody(t *testing.T) string {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", 20000+rand.IntN(12000)))
		if err != nil {
			continue
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		return port
	}
	t.Fatal("no port is free")
	return ""
}

// A taken admin address is found before a peer is served, as it would lose its connection.
func TestAdminAddressTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var stderr bytes.Buffer
	args := []string{"--listen", "127.0.0.1:0", "--set", "admin.address=" + l.Addr().String(), "--set", "log.format=json"}
	if code := run(args, nil, io.Discard, &stderr); code != exitUnavailable {
		t.Errorf("exit code %d, want %d", code, exitUnavailable)
	}
	if text := stderr.String(); strings.Contains(text, `"msg":"listening"`) {
		t.Errorf("it served peers before:\n%s", text)
	}
}

// So is a bad token file.
func TestBadTokenFile(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, "short")
	var stderr bytes.Buffer
	args := []string{"--listen", "127.0.0.1:0", "--set", "admin.address=127.0.0.1:0", "--set", "admin.operate_token_file=" + token, "--set", "log.format=json"}
	if code := run(args, nil, io.Discard, &stderr); code != exitConfig {
		t.Errorf("exit code %d, want %d", code, exitConfig)
	}
	if text := stderr.String(); strings.Contains(text, `"msg":"listening"`) || !strings.Contains(text, "admin.operate_token_file") {
		t.Errorf("it served peers before, or does not name the file:\n%s", text)
	}
}

// connectUntil connects again and again, and requires each connection to be answered.
func connectUntil(t *testing.T, address string, stop <-chan struct{}) {
	question, answer := pdutest.StatusRequest(7, 1, nil), pdutest.StatusResponse(7, 1, nil)
	for {
		select {
		case <-stop:
			return
		default:
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Errorf("refused: %v", err)
			return
		}
		conn.Write(question)
		if got, err := readSaid(conn); err != nil || !bytes.Equal(got, answer) {
			t.Errorf("not served: %v", err)
		}
		conn.Close()
	}
}
