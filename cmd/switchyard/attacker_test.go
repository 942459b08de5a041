package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// One tenant is abused while another is observed: a test fails if the other loses a PDU, and a
// benchmark measures how much longer its PDUs take.

// asAttacker makes the test's program attack an address, in a process of its own with low
// priority, as if it ran on another machine.
const asAttacker = "SWITCHYARD_TEST_AS_ATTACKER"

// An attacker is that process.
type attacker struct {
	commands io.WriteCloser
	answers  *bufio.Reader
}

func startAttacker(t testing.TB, attack, address string) *attacker {
	t.Helper()
	exe := executable(t)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), asAttacker+"="+attack+" "+address)
	cmd.Stderr = os.Stderr
	commands, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		commands.Close() // which ends it
		cmd.Wait()
	})
	return &attacker{commands, bufio.NewReader(answers)}
}

func (a *attacker) on(t testing.TB)  { a.do(t, "on\n") }
func (a *attacker) off(t testing.TB) { a.do(t, "off\n") }

func (a *attacker) do(t testing.TB, command string) {
	t.Helper()
	if _, err := io.WriteString(a.commands, command); err != nil {
		t.Fatal(err)
	}
	if answer, err := a.answers.ReadString('\n'); err != nil || answer != command {
		t.Fatalf("the attacker answers %q (%v) to %q", answer, err, command)
	}
}

// attack is the attacker's main function.
func attack(what string) {
	syscall.Setpriority(syscall.PRIO_PROCESS, 0, 10)
	kind, address, _ := strings.Cut(what, " ")
	var stop chan struct{}
	var done sync.WaitGroup
	end := func() {
		if stop != nil {
			close(stop)
			done.Wait()
			stop = nil
		}
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); fmt.Println(in.Text()) {
		switch in.Text() {
		case "on":
			stop = make(chan struct{})
			attacks[kind](address, stop, &done)
		case "off":
			end()
		}
	}
	end()
}

// attacks start goroutines, which end when stop is closed.
var attacks = map[string]func(address string, stop chan struct{}, done *sync.WaitGroup){
	// talk: four peers send 500 PDUs a second each.
	"talk": func(address string, stop chan struct{}, done *sync.WaitGroup) {
		many(4, address, stop, done, func(conn net.Conn) {
			done.Go(func() { io.Copy(io.Discard, conn) })
			every(2*time.Millisecond, stop, func() bool {
				_, err := conn.Write(pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, 200)))
				return err == nil
			})
		})
	},
	// flood: four peers send as fast as they can.
	"flood": func(address string, stop chan struct{}, done *sync.WaitGroup) {
		many(4, address, stop, done, func(conn net.Conn) {
			done.Go(func() { io.Copy(io.Discard, conn) })
			flood(conn)
		})
	},
	// connect: 2,000 connections a second, each closed at once.
	"connect": func(address string, stop chan struct{}, done *sync.WaitGroup) {
		for range 4 {
			done.Go(func() {
				every(2*time.Millisecond, stop, func() bool {
					if conn, err := net.Dial("tcp", address); err == nil {
						conn.Close()
					}
					return true
				})
			})
		}
	},
	// mute: eight peers never read, two send as fast as they can.
	"mute": func(address string, stop chan struct{}, done *sync.WaitGroup) {
		many(8, address, stop, done, func(net.Conn) { <-stop })
		many(2, address, stop, done, func(conn net.Conn) {
			done.Go(func() { io.Copy(io.Discard, conn) })
			flood(conn)
		})
	},
	// dribble: 200 peers send a byte a second.
	"dribble": func(address string, stop chan struct{}, done *sync.WaitGroup) {
		many(200, address, stop, done, func(conn net.Conn) {
			every(time.Second, stop, func() bool {
				_, err := conn.Write([]byte{0})
				return err == nil
			})
		})
	},
}

func flood(conn net.Conn) {
	m := pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, 200))
	batch := slices.Repeat(m, 300)
	for {
		if _, err := conn.Write(batch); err != nil {
			return
		}
	}
}

// many runs do on n connections, each in a goroutine, and closes them when stop is closed. A
// connection that is refused or closed is made again.
func many(n int, address string, stop chan struct{}, done *sync.WaitGroup, do func(net.Conn)) {
	for range n {
		done.Go(func() {
			for {
				if conn, err := net.Dial("tcp", address); err == nil {
					over := make(chan struct{})
					done.Go(func() {
						select {
						case <-stop:
						case <-over:
						}
						conn.Close()
					})
					do(conn)
					close(over)
				}
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		})
	}
}

// every calls do at that interval until stop is closed or it returns false.
func every(interval time.Duration, stop chan struct{}, do func() bool) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			if !do() {
				return
			}
		}
	}
}
