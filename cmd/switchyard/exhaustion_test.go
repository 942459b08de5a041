package main

import (
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// Without a descriptor left, new peers are closed, existing ones keep working, the log is not
// flooded, and when some leave new ones are accepted again.
func TestDescriptorsExhausted(t *testing.T) {
	t.Parallel()
	const descriptors = 48
	exe := executable(t)
	p := startCommand(t, exec.Command("/bin/sh", "-c", `ulimit -n "$1"; shift; exec "$@"`, "sh", "48", exe,
		"--listen", "127.0.0.1:0", "--set", "log.format=json"))
	a, b := p.dial(), p.dial()
	var crowd []net.Conn
	for range 2 * descriptors {
		conn, err := net.Dial("tcp", p.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		crowd = append(crowd, conn)
	}
	p.expect("accepting a connection failed", "too many open files")
	m := pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte("still routed"))
	a.say(m)
	b.expect(m)
	awaitClosed(t, crowd)
	for _, conn := range crowd {
		conn.Close()
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

// awaitClosed waits until the server closes one of the connections.
func awaitClosed(t *testing.T, conns []net.Conn) {
	t.Helper()
	closed := make(chan error, len(conns))
	for _, conn := range conns {
		conn.SetReadDeadline(time.Now().Add(patience))
		go func() {
			_, err := io.Copy(io.Discard, conn) // it may receive the message first
			closed <- err
		}()
	}
	if err := <-closed; os.IsTimeout(err) {
		t.Error("no connection was closed")
	}
}
