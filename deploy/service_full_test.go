//go:build full

package deploy

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// A running server is one that a package has installed, with a peer. It runs outside of the system
// root, as it needs /proc to find its program, with config.toml at the top of the root, and its
// socket where the configuration in the root has it.
type running struct {
	t      *testing.T
	taken  chan string // a process serves from now on in the place of the one before
	notify *net.UnixConn
	peer   net.Conn
}

func startService(r systemRoot) *running {
	t := r.t
	t.Helper()
	r.write("config.toml", "[admin]\naddress = \"\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n", 0o644)
	if err := os.Mkdir(r.path("run/switchyard"), 0o755); err != nil {
		t.Fatal(err)
	}
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: r.path("run/notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	s := &running{t: t, taken: make(chan string, 10), notify: notify}
	cmd := exec.Command(r.path("usr/bin/switchyard"), "serve", "--config", r.path("config.toml"),
		"--set", "admin.socket="+r.path("run/switchyard/admin.sock"), "--set", "log.format=json", "--set", "peer.timeout=1h")
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+r.path("run/notify"), "XDG_CACHE_HOME="+r.path("var/lib"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // which successors inherit
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		notify.Close()
		<-read
		cmd.Wait()
	})
	r.write("run/main-pid", strconv.Itoa(cmd.Process.Pid)+"\n", 0o644)
	go s.follow(read, r.path("run/main-pid"))
	lines := bufio.NewScanner(log)
	address := logged(t, lines, "listening")["address"].(string)
	logged(t, lines, "serving")
	go io.Copy(io.Discard, log) // until all processes have ended
	if s.peer, err = net.Dial("tcp", address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.peer.Close() })
	s.wantAnswer()
	return s
}

// follow does with what the processes tell systemd what that does: it keeps the number of the main
// one, for systemctl.
func (s *running) follow(done chan<- struct{}, file string) {
	defer close(done)
	message := make([]byte, 4096)
	for {
		n, err := s.notify.Read(message)
		if err != nil {
			return // closed
		}
		if pid := regexp.MustCompile(`(?m)^MAINPID=(\d+)$`).FindSubmatch(message[:n]); pid != nil {
			if err := os.WriteFile(file, append(pid[1], '\n'), 0o644); err != nil {
				s.t.Error(err)
			}
			s.taken <- string(pid[1])
		}
	}
}

// wantTaken wants that another process has taken over, and serves the peer.
func (s *running) wantTaken() {
	s.t.Helper()
	select {
	case <-s.taken:
	case <-time.After(time.Minute):
		s.t.Fatal("no process has taken over")
	}
	s.wantAnswer()
}

// wantAnswer wants that a PDU comes back that the hub sends to all peers.
func (s *running) wantAnswer() {
	s.t.Helper()
	said := pdutest.Raw(pdu.CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY, 1, []byte("hello"))
	heard := make([]byte, len(said))
	s.peer.SetDeadline(time.Now().Add(time.Minute))
	if _, err := s.peer.Write(said); err != nil {
		s.t.Fatal(err)
	}
	for {
		if _, err := io.ReadFull(s.peer, heard[:pdu.HeaderLen]); err != nil {
			s.t.Fatal(err)
		}
		if bytes.Equal(heard[:pdu.HeaderLen], pdutest.Heartbeat()) {
			continue
		}
		if _, err := io.ReadFull(s.peer, heard[pdu.HeaderLen:]); err != nil || !bytes.Equal(heard, said) {
			s.t.Fatalf("heard %x, want %x: %v", heard, said, err)
		}
		return
	}
}
