package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A child is this test's program, which plays the other process. The variable says how it
// behaves, for example "die Tenant": it dies when Tenant of its New is called.
const playVariable = "SWITCHYARD_TEST_PLAY"

func TestMain(m *testing.M) {
	if play := os.Getenv(playVariable); play != "" {
		os.Exit(playChild(play))
	}
	os.Exit(m.Run())
}

// playChild is the main function of a child. Its exit code is 0 if it took part to the end.
func playChild(play string) int {
	how, where, _ := strings.Cut(play, " ")
	conn, err := Inherit(3)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	p := &player{how: how, where: where}
	if how == "old" {
		return p.old(conn)
	}
	p.at("start")
	if err := conn.TakeOver(context.Background(), p); err != nil {
		fmt.Println(err)
		return 1
	}
	return p.serve()
}

// A player is the New of a child. It does what its name says where it is told to.
type player struct {
	how, where string
	taker
}

func (p *player) at(where string) error {
	if where != p.where {
		return nil
	}
	switch p.how {
	case "die":
		os.Exit(3)
	case "hang":
		select {}
	}
	return errors.New("refused at " + where)
}

func (p *player) Offer(Hello) (Offer, error)    { return Offer{}, p.at("Offer") }
func (p *player) Process(json.RawMessage) error { return p.at("Process") }
func (p *player) Tenant(json.RawMessage) error  { return p.at("Tenant") }
func (p *player) Presence([]byte) error         { return p.at("Presence") }
func (p *player) Ready() error                  { return p.at("Ready") }
func (p *player) Listener(record json.RawMessage, socket net.Listener) error {
	p.taker.Listener(record, socket)
	return p.at("Listener")
}

func (p *player) Session(s json.RawMessage, conn *net.TCPConn, input, due []byte) error {
	p.taker.Session(s, conn, input, due)
	return p.at("Session " + string(s))
}

// serve greets all connections and the next one that arrives.
func (p *player) serve() int {
	for _, s := range p.sessions {
		io.WriteString(s.conn, greeting)
	}
	conn, err := p.listener.Accept()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	io.WriteString(conn, greeting)
	return 0
}

const greeting = "served by the new process"

// old plays the old process, which dies while it sends.
func (p *player) old(c *Conn) int {
	if p.where == "Hello" {
		return 3
	}
	if _, err := c.Ask(context.Background(), Hello{}, patient); err != nil || p.where == "Freeze" {
		return 3
	}
	_, err := c.HandOver(context.Background(), dyingOld{p.where}, patient)
	fmt.Println(err)
	return 3
}

type dyingOld struct{ where string }

func (dyingOld) Freeze(context.Context) error { return nil }
func (dyingOld) Thaw()                        {}

func (d dyingOld) Send(s *Sender) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		send func() error
	}{
		{"Listener", func() error { return s.Listener("listener", l.(*net.TCPListener)) }},
		{"Tenant", func() error { return s.Tenant("tenant") }},
		{"Presence", func() error { return s.Presence(make([]byte, 1000)) }},
		{"Session", func() error {
			for range mostTogether + 1 {
				conn, err := net.Dial("tcp", l.Addr().String())
				if err == nil {
					err = s.Session(0, conn.(*net.TCPConn), nil, make([]byte, 100))
				}
				if err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		if err := step.send(); err != nil {
			return err
		}
		if step.name == d.where {
			os.Exit(3)
		}
	}
	return errors.New("the play is over")
}

// start starts a child, which has one end of the stream.
func start(t *testing.T, play string) (*Conn, *exec.Cmd) {
	t.Helper()
	conn, theirs, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	t.Cleanup(func() { conn.Close() })
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), playVariable+"="+play)
	child.ExtraFiles = []*os.File{theirs}
	child.Stdout, child.Stderr = t.Output(), t.Output()
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { child.Process.Kill(); child.Wait() })
	return conn, child
}

// handTo hands o over to a child.
func handTo(t *testing.T, o *old, play string, limits Limits) error {
	t.Helper()
	conn, child := start(t, play)
	o.kill = child.Process.Kill
	if _, err := conn.Ask(t.Context(), Hello{}, limits); err != nil {
		return err
	}
	_, err := conn.HandOver(t.Context(), o, limits)
	return err
}

// places are where a child can fail, and the last step of the old process that may notice it.
// What it sends before that may stay unnoticed in the socket.
var places = map[string]Step{
	"start": StepOffer, "Offer": StepOffer, "Listener": StepReady, "Process": StepReady, "Tenant": StepReady,
	"Presence": StepReady, "Session 0": StepReady, "Session 100": StepReady, "Ready": StepReady,
}

// Wherever the new process dies or hangs before go, the old one continues with all of its sockets.
func TestNewProcessFails(t *testing.T) {
	flat(t)
	o := newOld(t, mostTogether+1)
	for place, last := range places {
		for _, how := range []string{"die", "hang"} {
			t.Run(how+" "+place, func(t *testing.T) {
				flat(t)
				limits := patient
				switch { // a child hangs for ever
				case how == "hang" && last == StepOffer:
					limits.Offer = 20 * time.Millisecond
				case how == "hang":
					limits.Ready = 20 * time.Millisecond
				}
				o.frozen, o.thawed = 0, 0
				err := handTo(t, o, how+" "+place, limits)
				var failed *Error
				if !errors.As(err, &failed) || failed.Step != last && failed.Step != StepSend {
					t.Fatalf("error %v, want one of step %s", err, last)
				}
				if how == "die" && !errors.Is(err, errNewGone) || how == "hang" && !strings.Contains(err.Error(), "after 20ms") {
					t.Errorf("the error is %q", err)
				}
				if o.frozen != o.thawed {
					t.Errorf("frozen %d times, thawed %d times", o.frozen, o.thawed)
				}
				o.works(t)
			})
		}
	}
}

// A child that takes over has all sockets once the old process has closed its own.
func TestNewProcessTakesOver(t *testing.T) {
	flat(t)
	o := newOld(t, 3)
	if err := handTo(t, o, "serve", patient); err != nil {
		t.Fatal(err)
	}
	o.listener.Close()
	for _, d := range o.sessions {
		d.server.Close()
	}
	for _, d := range o.sessions {
		hears(t, d.client, greeting)
	}
	conn, err := net.Dial("tcp", o.listener.Addr().String())
	if err != nil {
		t.Fatal("the new process does not listen:", err)
	}
	defer conn.Close()
	hears(t, conn, greeting)
}

// If the old process dies before go, the new one has nothing and leaves nothing open.
func TestOldProcessDies(t *testing.T) {
	for _, place := range []string{"Hello", "Freeze", "Listener", "Tenant", "Presence", "Session"} {
		t.Run(place, func(t *testing.T) {
			flat(t)
			conn, _ := start(t, "old "+place)
			n := &taker{}
			t.Cleanup(n.close)
			if err := conn.TakeOver(t.Context(), n); !errors.Is(err, ErrGone) {
				t.Errorf("error %v, want %v", err, ErrGone)
			}
		})
	}
}
