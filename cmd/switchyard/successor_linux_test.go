//go:build full || race

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"switchyard/proxy/admin/api"
	"switchyard/proxy/handover"
)

// asSuccessor makes the test's program take over as a program would that fails: in which message,
// and how.
const asSuccessor = "SWITCHYARD_TEST_AS_SUCCESSOR"

// offerVariable has what such a program offers, as JSON.
const offerVariable = "SWITCHYARD_TEST_OFFER"

// Before TestMain, which only knows what all systems have.
func init() {
	if what := os.Getenv(asSuccessor); what != "" {
		succeedBadly(what)
	}
}

// A badSuccessor is a new program that fails. It implements handover.New.
type badSuccessor struct {
	where, how string
	offer      handover.Offer
}

// succeedBadly is the program.
func succeedBadly(what string) {
	where, how, _ := strings.Cut(what, " ")
	b := &badSuccessor{where: where, how: how}
	if err := json.Unmarshal([]byte(os.Getenv(offerVariable)), &b.offer); err != nil {
		panic(err)
	}
	conn, err := handover.Inherit(3)
	if err != nil {
		panic(err)
	}
	err = conn.TakeOver(context.Background(), b)
	fmt.Fprintf(os.Stderr, "the bad successor ends: %v\n", err)
	if err == nil {
		b.fail("go")
	}
	os.Exit(1)
}

// fail fails here, if this is where.
func (b *badSuccessor) fail(here string) error {
	if here != b.where {
		return nil
	}
	switch b.how {
	case "dies":
		os.Exit(3)
	case "hangs":
		select {}
	}
	return errors.New("no disk space left")
}

func (b *badSuccessor) Offer(handover.Hello) (handover.Offer, error) { return b.offer, b.fail("offer") }
func (b *badSuccessor) Listener(json.RawMessage, net.Listener) error { return b.fail("listener") }
func (b *badSuccessor) Process(json.RawMessage) error                { return b.fail("process") }
func (b *badSuccessor) Tenant(json.RawMessage) error                 { return b.fail("tenant") }
func (b *badSuccessor) Presence([]byte) error                        { return b.fail("presence") }
func (b *badSuccessor) Session(json.RawMessage, *net.TCPConn, []byte, []byte) error {
	return b.fail("session")
}
func (b *badSuccessor) Ready() error { return b.fail("ready") }

// offer returns what a new program has to offer to this server.
func (u *upgradable) offer() string {
	u.t.Helper()
	all, err := u.admin().Releases(u.t.Context(), nil)
	if err != nil {
		u.t.Fatal(err)
	}
	o := handover.Offer{Version: "v9", Policies: map[string]string{}, Descriptors: 1 << 20,
		Sockets: []string{"admin address 127.0.0.1:0", "admin socket " + u.socket, "listener 127.0.0.1:0 at 127.0.0.1:0, plain"}}
	for _, r := range all.Releases {
		o.Policies[r.Tenant] = r.InForce.Identity
	}
	text, err := json.Marshal(o)
	if err != nil {
		u.t.Fatal(err)
	}
	return string(text)
}

// successor returns a program that takes over until it fails like that in the message.
func (u *upgradable) successor(how, message string) (program string) {
	u.t.Helper()
	exe := executable(u.t)
	return script(u.t, fmt.Sprintf(`[ "$1" = version ] && exec %s "$@"
%s='%s' %s='%s %s' exec %s "$@"`, exe, offerVariable, u.offer(), asSuccessor, message, how, exe))
}

// playSuccessors upgrades to programs that fail in each message, while traffic continues. The old
// program keeps serving as if nothing had been.
func playSuccessors(t *testing.T, how string, messages ...string) {
	t.Parallel()
	u := startUpgradable(t)
	tr := startStream(u.process, 12, 3, 5*time.Millisecond)
	for _, message := range messages {
		code, out := u.upgrade("--program", u.successor(how, message))
		if code != exitInternal {
			t.Errorf("%s in %s: exit code %d, %s", how, message, code, out)
		}
		if last := u.last(); last.Result != api.UpgradeFailed || last.Step == "" || last.Error == "" {
			t.Errorf("%s in %s: %+v", how, message, last)
		}
	}
	if last := u.mustUpgrade(); last.Moved != 12 {
		t.Errorf("and then an upgrade: %+v", last)
	}
	tr.finish()
	u.isServed()
}

var messages = []string{"offer", "listener", "process", "tenant", "presence", "session", "ready"}

func TestSuccessorDies(t *testing.T) { playSuccessors(t, "dies", messagesOr("offer", "session")...) }
func TestSuccessorRefuses(t *testing.T) {
	playSuccessors(t, "refuses", messagesOr("process", "ready")...)
}

// messagesOr returns the quick ones, or with the tag full all.
func messagesOr(quick ...string) []string {
	if full {
		return messages
	}
	return quick
}
