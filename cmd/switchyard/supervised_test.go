//go:build full || race

package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// systemd receives the whole life cycle: start, reloads of a sound and of a bad configuration,
// the watchdog, and the stop.
func TestServeReportsToItsSupervisor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "notify")
	m := listenForNotice(t, socket)
	fed := 0
	next := func() string {
		for {
			switch text := m.next(); {
			case text == "WATCHDOG=1":
				fed++
			case strings.HasPrefix(text, "STATUS=loading "): // if the start takes seconds
			default:
				return text
			}
		}
	}
	expect := func(lines ...string) {
		t.Helper()
		text := next()
		for _, want := range lines {
			if !strings.Contains("\n"+text+"\n", "\n"+want) {
				t.Fatalf("received %q, want %q", text, lines)
			}
		}
	}

	config := filepath.Join(dir, "config.toml")
	save := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save("drain.timeout = \"7s\"\n")
	cmd := exec.Command(executable(t), "--config", config, "--set", "reload.watch=false", "--set", "log.format=json", "--listen", "127.0.0.1:0")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=1000000")
	p := startCommand(t, cmd)
	expect("READY=1\n", "STATUS=serving\n")

	p.signal(syscall.SIGHUP)
	expect("RELOADING=1\n", "MONOTONIC_USEC=")
	expect("READY=1\n", "STATUS=serving\n")

	save("nonsense = 1\n")
	p.signal(syscall.SIGHUP)
	expect("RELOADING=1\n")
	expect("READY=1\n", "STATUS=serving; refused: configuration: "+config+":1: unknown key \"nonsense\"")

	for fed < 2 {
		if m.next() == "WATCHDOG=1" {
			fed++
		}
	}
	p.signal(syscall.SIGTERM)
	expect("STOPPING=1\n", "EXTEND_TIMEOUT_USEC=22000000\n") // 7s and 15s
	if code := p.exit(); code != exitStopped {
		t.Errorf("exit code %d", code)
	}
}

// A service manager is a socket that receives messages, one after the other.
type serviceManager struct {
	t        *testing.T
	messages chan string // so many that the socket is always read: it holds few, and a server gives up
}

func listenForNotice(t *testing.T, name string) serviceManager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := serviceManager{t, make(chan string, 10_000)}
	var reading sync.WaitGroup
	reading.Go(func() {
		for b := make([]byte, 4<<10); ; {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			m.messages <- string(b[:n])
		}
	})
	t.Cleanup(func() { conn.Close(); reading.Wait() })
	return m
}

func (m serviceManager) next() string {
	m.t.Helper()
	select {
	case text := <-m.messages:
		return text
	case <-time.After(patience):
		m.t.Fatal("no message")
		panic("not reached")
	}
}
