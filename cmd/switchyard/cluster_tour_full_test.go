//go:build full

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// A tour runs the commands of a document in one shell, with ports and a folder of its own.
type tour struct {
	*testing.T
	ports  map[string]string // first digits in the document → those that are used
	folder string            // instead of /tmp/cluster

	shell *exec.Cmd
	in    io.Writer
	out   *bufio.Reader
	log   bytes.Buffer // the shell's stderr, complete when the shell has been waited for
}

// tourTime is how long all commands may take. It only costs time if the test fails.
const tourTime = 10 * time.Minute

func startTour(t *testing.T) *tour {
	t.Helper()
	for _, tool := range []string{"bash", "curl", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is not installed: apt-get install %s", tool, tool)
		}
	}
	o := &tour{T: t, ports: make(map[string]string), folder: filepath.Join(t.TempDir(), "cluster")}
	o.shell = exec.Command("bash", "-e")
	o.shell.Dir = root
	o.shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that what it starts ends with it
	o.shell.Stderr = &o.log
	in, err := o.shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := o.shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := o.shell.Start(); err != nil {
		t.Fatal(err)
	}
	o.in, o.out = in, bufio.NewReader(out)
	end := func() { syscall.Kill(-o.shell.Process.Pid, syscall.SIGKILL) }
	late := time.AfterFunc(tourTime, end)
	t.Cleanup(func() {
		late.Stop()
		end()
		o.shell.Wait()
		if t.Failed() {
			t.Logf("stderr of the commands:\n%s", &o.log)
			logs, _ := filepath.Glob(filepath.Join(o.folder, "*.log"))
			for _, name := range logs {
				text, _ := os.ReadFile(name)
				t.Logf("%s:\n%s", filepath.Base(name), text)
			}
		}
	})
	return o
}

// local is an address of the document: all but the last digit of its port, by which hubs and
// servers are told apart.
var local = regexp.MustCompile(`127\.0\.0\.1([:/])(\d{3})`)

// address returns the address that stands for one of the document.
func (o *tour) address(documented string) string {
	return local.ReplaceAllStringFunc(documented, func(a string) string {
		m := local.FindStringSubmatch(a)
		if o.ports[m[2]] == "" {
			o.ports[m[2]] = freePorts(o.T)
		}
		return "127.0.0.1" + m[1] + o.ports[m[2]]
	})
}

// freePorts returns the first digits of ports that end with 1, 2 and 3, on which nothing listens.
// They are below those from which systems choose for connections.
func freePorts(t *testing.T) string {
	t.Helper()
	for range 1000 {
		first := fmt.Sprint(1100 + rand.IntN(2000))
		free := true
		for last := 1; last <= 3 && free; last++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%s%d", first, last))
			if free = err == nil; free {
				l.Close()
			}
		}
		if free {
			return first
		}
	}
	t.Fatal("there are no three free ports in a row")
	return ""
}

// run runs commands of the document and returns what they print. The test fails if one of them does.
func (o *tour) run(commands []string) string {
	o.Helper()
	text := strings.ReplaceAll(o.address(strings.Join(commands, "\n")), "/tmp/cluster", o.folder)
	const done = "the commands are done"
	fmt.Fprintf(o.in, "%s\necho; echo %s\n", text, done)
	var printed strings.Builder
	for {
		line, err := o.out.ReadString('\n')
		if err != nil {
			o.Fatalf("the commands fail (%v):\n%s\nthey print\n%s", err, text, printed.String())
		}
		if line == done+"\n" {
			return printed.String()
		}
		printed.WriteString(line)
	}
}

// peers returns a peer of each hub.
func (o *tour) peers() (all []peer) {
	o.Helper()
	for n := 1; n <= 3; n++ {
		p := &process{t: o.T, address: o.address(fmt.Sprintf("127.0.0.1:820%d", n))}
		all = append(all, p.dial())
	}
	return all
}

// hearEachOther has each peer say something that all others receive.
func hearEachOther(peers []peer) {
	for i, sender := range peers {
		chat := pdutest.Raw(pdu.CID_MSG_DATA, uint16(i), []byte{8, 1})
		sender.say(chat)
		for j, receiver := range peers {
			if i == j {
				continue
			}
			receiver.expect(chat)
		}
	}
}

// commandsOf returns the blocks of commands in a section of a document.
func commandsOf(t *testing.T, name, section string) (blocks [][]string) {
	t.Helper()
	_, text, ok := strings.Cut(document(t, filepath.Join(root, name)), "\n"+section+"\n")
	if !ok {
		t.Fatalf("%s has no section %q", name, section)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	for _, b := range examplesOf(text) {
		if b.language == "sh" {
			blocks = append(blocks, b.lines)
		}
	}
	return blocks
}

// The commands of docs/cluster.md start three servers of the bus and three hubs that act as one,
// also after a hub was killed and a server was restarted, and stop them. Then those that make
// certificates and an account, with which a server and a hub understand each other.
func TestClusterOfDocument(t *testing.T) {
	t.Parallel()
	o := startTour(t)
	blocks := commandsOf(t, "docs/cluster.md", "## Three hubs on one machine")
	if len(blocks) != 8 {
		t.Fatalf("there are %d blocks of commands; this test knows 8: build, bus, hubs, status, message, hub killed, server restarted, stop", len(blocks))
	}
	o.run(blocks[0])
	o.run([]string{"export XDG_CACHE_HOME=" + t.TempDir() + " SWITCHYARD_PEER__TIMEOUT=1h"}) // of the hubs; Go has its cache there
	o.run(blocks[1])
	o.run(blocks[2])
	if out := o.run(blocks[3]); !strings.Contains(out, "cluster demo: 3 of 3 servers of the bus answer, a record takes ") || !strings.Contains(out, "together") {
		t.Errorf("check and status print\n%s", out)
	}
	hearEachOther(o.peers())
	if out := o.run(blocks[4]); !strings.Contains(out, "00 00 00 10 00 00 00 00 00 03 03 01 00 01 00 00") {
		t.Errorf("the other hub's peer receives\n%s", out)
	}
	if out := o.run(blocks[5]); !strings.Contains(out, `"hub":3`) {
		t.Errorf("the log of the others says\n%s", out)
	}
	peers := o.peers()
	hearEachOther(peers)
	o.run(blocks[6])
	hearEachOther(peers)
	for _, p := range peers {
		p.Close()
	}
	o.run(blocks[7])

	secure := commandsOf(t, "docs/cluster.md", "## Security of the bus")
	if len(secure) != 1 || strings.Count(secure[0][len(secure[0])-2], "DNS:bus1,") != 1 {
		t.Fatalf("the commands have changed: %q", secure)
	}
	o.run([]string{strings.Replace(strings.Join(secure[0], "\n"), "DNS:bus1,", "IP:127.0.0.1,", 1)})
	o.run([]string{
		`./yardbus --name secure --store secure --listen 127.0.0.1:4221 --certificate server.pem --key server.key --ca ca.pem --accounts accounts.conf 2> secure.log &`,
		`bus=$!`,
		`secure="--set cluster.servers=tls://127.0.0.1:4221 --set cluster.credentials=hub.creds --set cluster.ca=ca.pem --set cluster.replicas=1"`,
		`until ./switchyard check --config config.toml --set cluster.hub=1 $secure; do kill -0 $bus; sleep 1; done`,
		`./switchyard --config config.toml --set cluster.hub=1 $secure --listen 127.0.0.1:8201 --set admin.address=127.0.0.1:8281 --set releases.state=secure 2> hub1.log &`,
		`ready 1`,
		`! ./switchyard check --config config.toml --set cluster.hub=1 $(echo "$secure" | sed s/hub.creds//)`,
		`! ./switchyard check --config config.toml --set cluster.hub=1 $(echo "$secure" | sed s/=ca.pem/=/)`,
	})
}
