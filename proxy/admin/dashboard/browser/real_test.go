package browser

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
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

// These tests open the page of the server itself: the fake and the page could share a
// mistake.

const (
	chat      = 0x0301 // CID_MSG_DATA
	heartbeat = 0x0701 // CID_OTHER_HEARTBEAT
)

const (
	configuration = `
[admin]
operate_token_file = "operate.token"
[tenant.default]
policy = "file:routes.toml"
[tenant.default.limits]
lag_soft = "64KiB"
lag_soft_time = "10m"
`
	table = `[route]
CID_OTHER_HEARTBEAT = "consume"
CID_MSG_DATA = "broadcast-except-sender"
else = "drop"
`
)

// A server is a running switchyard.
type server struct {
	t     *testing.T
	dir   string
	cmd   *exec.Cmd
	peers string // where they connect
	admin string // address of the page
}

func (s *server) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// built is a folder that TestMain makes and removes.
var built string

var build = sync.OnceValues(func() (string, error) {
	program := filepath.Join(built, "switchyard")
	cmd := exec.Command("go", "build", "-o", program, "switchyard/cmd/switchyard")
	cmd.Dir = "../../../.." // the module that has it
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build switchyard: %w\n%s", err, out)
	}
	return program, nil
})

func serve(t *testing.T) *server {
	t.Helper()
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, dir: t.TempDir()}
	s.write("config.toml", configuration)
	s.write("routes.toml", table)
	s.write("operate.token", "operator-of-this-test-0123456789\n")
	s.cmd = exec.Command(program, "--set", "log.format=json", "--set", "admin.address=127.0.0.1:0", "--listen", "127.0.0.1:0")
	s.cmd.Dir = s.dir
	s.cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+t.TempDir(), "XDG_STATE_HOME="+t.TempDir())
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 10000)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			lines <- s.Text()
		}
	})
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		reading.Wait()
		s.cmd.Wait()
		if t.Failed() {
			for l := range lines {
				t.Log(l)
			}
		}
	})
	for s.peers == "" || s.admin == "" {
		select {
		case text, ok := <-lines:
			if !ok {
				t.Fatal("switchyard ended")
			}
			var l struct{ Msg, Address string }
			json.Unmarshal([]byte(text), &l)
			switch l.Msg {
			case "listening":
				s.peers = l.Address
			case "admin":
				s.admin = "http://" + l.Address + "/"
			}
		case <-time.After(patience):
			t.Fatal("switchyard does not serve")
		}
	}
	return s
}

// pdu returns a PDU of service SID_MSG.
func pdu(command uint16, body int) []byte {
	b := make([]byte, 16+body)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	binary.BigEndian.PutUint16(b[4:], 1)
	binary.BigEndian.PutUint16(b[8:], 3)
	binary.BigEndian.PutUint16(b[10:], command)
	return b
}

// connect returns a peer that has sent a PDU.
func (s *server) connect() net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.peers)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	if _, err := conn.Write(pdu(heartbeat, 0)); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

func TestWithTheServer(t *testing.T) {
	s := serve(t)
	// The page's own requests without the right to operate are answered 401.
	p := open(t, s.admin, wide, "status of 401", "status of 403")
	p.live()
	sender, reader, idle := s.connect(), s.connect(), s.connect()
	if err := idle.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	var working sync.WaitGroup
	working.Go(func() { io.Copy(io.Discard, reader) })
	stop := make(chan struct{})
	working.Go(func() {
		// Fast enough to show up, and in all less than the lag that the idle peer may have.
		for sent := 0; ; sent += 64 << 10 {
			size := 64 << 10
			if sent > 40<<20 {
				size = 100
			}
			if _, err := sender.Write(pdu(chat, size)); err != nil {
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		sender.Close()
		reader.Close()
		working.Wait()
	})

	// Values appear.
	p.shows("#tenants-table", "default", "file:routes.toml")
	p.shows("#peers-table", sender.LocalAddr().String(), reader.LocalAddr().String(), idle.LocalAddr().String())
	p.shows("#routes-table", "CID_MSG_DATA", "broadcast-except-sender", "consume 3")
	p.until(`[...document.querySelectorAll('#routes-table tbody tr')].some(r => r.cells[0].innerText === 'CID_MSG_DATA' && parseFloat(r.cells[3].innerText) > 1)`)
	p.until(`/[1-9]/.test(document.querySelector('#tiles .value').innerText)`)
	p.shows("#log-table", "serving")
	p.until(`document.querySelector('#chart-pdus path.series-0').getAttribute('d').includes('L')`)
	p.until(`/s$/.test(document.querySelector('#chart-latency .value').innerText)`)

	// The peer that does not read shows up.
	p.shows("#peers-table tbody tr:nth-child(1)", idle.LocalAddr().String(), "▲ slow", "% of limit")
	p.shows("#peers-slow", "▲ 1 slow: "+idle.LocalAddr().String())
	p.picture("server")

	// A reload and a refused reload show up.
	s.write("routes.toml", strings.Replace(table, `CID_OTHER_HEARTBEAT = "consume"`, `CID_OTHER_HEARTBEAT = "drop, log"`, 1))
	s.cmd.Process.Signal(syscall.SIGHUP)
	p.shows("#policies-count", "2 loaded, 0 refused")
	p.shows("#policies-table", "● in force", "○ retired")
	p.shows("#announcements", "Tenant default: policy file:routes.toml is in force.")
	p.until(`[...document.querySelectorAll('#routes-table tbody tr')].some(r => r.cells[0].innerText === 'CID_OTHER_HEARTBEAT' && r.cells[1].innerText.startsWith('drop'))`)
	s.write("routes.toml", "[route]\nCID_MSG_DAT = \"drop\"\n")
	s.cmd.Process.Signal(syscall.SIGHUP)
	p.shows("#policies-count", "2 loaded, 1 refused")
	p.shows("#policies-table", "✕ refused", "did you mean CID_MSG_DATA?")

	// The forms to evaluate and to compare.
	p.evaluate(map[string]string{"command": "CID_MSG_DATA", "session": "1"})
	p.shows("#evaluate-answer", "broadcast-except-sender", "CID_MSG_DATA of SID_MSG", "file:routes.toml")
	p.evaluate(map[string]string{"command": "CID_MSG_DAT"})
	p.shows("#evaluate-answer", "did you mean CID_MSG_DATA?")
	p.candidate("next.toml", "[route]\nCID_MSG_DATA = \"broadcast-all\"\nelse = \"drop\"\n")
	p.click("#compare-send")
	p.until(`document.querySelector('#compare-answer .wrong')?.innerText.includes('token')`)
	p.click("#token-open")
	p.enter("#token", "operator-of-this-test-0123456789")
	p.press("\r")
	p.live()
	p.click("#compare-send")
	p.shows("#compare-answer", "would change", "CID_MSG_DATA", "broadcast-all")
	p.candidate("bad.toml", "nonsense")
	p.click("#compare-send")
	p.shows("#compare-answer", "Refused by the gate")

	// An operator reloads, and closes the peer that does not read.
	p.shows("#head-line", " on ", ", up ")
	p.confirmed("#operate-reload", "Read the configuration")
	p.shows("#confirm-answer", "refused: policy of tenant default")
	p.click("#confirm-cancel")
	p.shows("#troubles", "Tenant default: the policy is refused")
	p.shows("#log-table", "request=reload", "by=token")
	eval[bool](p, "([...document.querySelectorAll('#peers-table tbody th a')].find(a => a.innerText === '"+idle.LocalAddr().String()+"').click(), true)")
	p.shows("#view", "It has yet to be written", "limits.lag_hard", "plain TCP")
	p.confirmed("#peer-close", "Close the connection of "+idle.LocalAddr().String())
	p.shows("#confirm-answer", "is being closed.")
	p.click("#confirm-cancel")
	idle.Close()
	p.shows("#view", "It has ended")
	p.click("#view-back")
	p.shows("#disconnects-table", idle.LocalAddr().String())
	p.until("!document.getElementById('peers-slow').innerText.includes('slow')")
	p.mu.Lock()
	p.expected = append(p.expected, "net::ERR_", "status of 422", "status of 400")
	p.mu.Unlock()
	s.cmd.Process.Signal(syscall.SIGTERM)
	p.shows("#stream", "Stream lost", "trying again in")
}
