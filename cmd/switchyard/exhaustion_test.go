package main

import (
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// With no descriptor left, peers that come are turned away, those that are there go
// on, the log is not flooded, and when some leave others can come again.
func TestDescriptorsExhausted(t *testing.T) {
	t.Parallel()
	const descriptors = 48
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := startCommand(t, exec.Command("/bin/sh", "-c", `ulimit -n "$1"; shift; exec "$@"`, "sh", "48", exe,
		"--listen", "127.0.0.1:0", "--set", "log.format=json"))
	a, b := p.dial(), p.dial()
	var crowd []net.Conn
	turnedAway := 0
	for range 2 * descriptors {
		conn, err := net.Dial("tcp", p.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		crowd = append(crowd, conn)
	}
	p.expect("accepting a connection failed", "too many open files")
	m := pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte("all the same"))
	a.say(m)
	b.expect(m)
	for _, conn := range crowd {
		conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); err != nil && !os.IsTimeout(err) {
			turnedAway++
		}
		conn.Close()
	}
	if turnedAway == 0 {
		t.Error("nobody was turned away")
	}
	p.dial()
	if n := p.count("accepting a connection failed"); n > 50 {
		t.Errorf("%d lines about it", n)
	}
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitStopped {
		t.Errorf("exit code %d", code)
	}
}
