package handover

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// raw sends bytes, with descriptors, as no Conn would. It ignores errors: the other side may have
// closed the stream at the first fault.
func raw(c *Conn, b []byte, descriptors ...int) {
	var oob []byte
	if len(descriptors) > 0 {
		oob = unix.UnixRights(descriptors...)
	}
	c.unix.WriteMsgUnix(b, oob, nil)
}

// headOf returns the head of a frame that claims these lengths.
func headOf(k kind, descriptors byte, header, body uint32) []byte {
	b := binary.BigEndian.AppendUint32([]byte{byte(k), descriptors}, header)
	return binary.BigEndian.AppendUint32(b, body)
}

// await receives messages until one of that kind, or the end of the stream.
func await(c *Conn, k kind) {
	for {
		f, err := c.receive()
		closeAll(f.descriptors)
		if err != nil || f.kind == k {
			return
		}
	}
}

// open opens something that is not a socket.
func open(t testing.TB) (fd int) {
	t.Helper()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return int(f.Fd())
}

// Whatever the new process says, the old one finds fault with it, and continues.
func TestNewProcessLies(t *testing.T) {
	file := open(t)
	files := func(n int) []int { return slices.Repeat([]int{file}, n) }
	for _, test := range []struct {
		name   string
		say    func(c *Conn)
		step   Step
		reason string
	}{
		{"another format", func(c *Conn) { c.say(kindOffer, Offer{Version: "9.0", Format: 9}) }, StepOffer, `version "9.0" of the program speaks format 9`},
		{"no JSON", func(c *Conn) { c.send(frame{kind: kindOffer, header: []byte("{")}) }, StepOffer, "offer: "},
		{"ready at once", func(c *Conn) { c.say(kindReady, Counts{}) }, StepOffer, "says ready, want offer"},
		{"no frame", func(c *Conn) { raw(c, []byte("HTTP/1.1 200 OK\r\n\r\n")) }, StepOffer, "message 72 is unknown"},
		{"kind 0", func(c *Conn) { raw(c, headOf(0, 0, 0, 0)) }, StepOffer, "message 0 is unknown"},
		{"a huge header", func(c *Conn) { raw(c, headOf(kindOffer, 0, mostHeader+1, 0)) }, StepOffer, "more than a message may have"},
		{"a huge body", func(c *Conn) { raw(c, headOf(kindOffer, 0, 0, 1<<31)) }, StepOffer, "more than a message may have"},
		{"half a head", func(c *Conn) { raw(c, headOf(kindOffer, 0, 0, 0)[:5]) }, StepOffer, errNewGone.Error()},
		{"half a header", func(c *Conn) { raw(c, append(headOf(kindOffer, 0, 1<<20, 0), "{}"...)) }, StepOffer, errNewGone.Error()},
		{"descriptors", func(c *Conn) { raw(c, headOf(kindOffer, 3, 0, 0), files(3)...) }, StepOffer, "offer: "},
		{"hidden descriptors", func(c *Conn) { raw(c, headOf(kindOffer, 0, 0, 0), files(3)...) }, StepOffer, "3 descriptors arrived with offer, which claims 0"},
		{"too many descriptors", func(c *Conn) { raw(c, headOf(kindOffer, 100, 0, 0), files(253)...) }, StepOffer, "not all descriptors of a message arrived"},
		{"descriptors in a body", func(c *Conn) { raw(c, headOf(kindOffer, 0, 0, 3)); raw(c, []byte("abc"), files(9)...) }, StepOffer, "offer: "},
		{"a long refusal", func(c *Conn) { c.say(kindRefuse, reason{strings.Repeat("no ", 1<<20)}) }, StepOffer, "the new process refused: no no"},
		{"adopted too little", func(c *Conn) { offer(c); await(c, kindEnd); c.say(kindReady, Counts{Sessions: 1}) }, StepReady, "adopted {"},
		{"a second offer", func(c *Conn) { offer(c); await(c, kindEnd); offer(c) }, StepReady, "says offer, want ready"},
	} {
		t.Run(test.name, func(t *testing.T) {
			flat(t)
			o := newOld(t, 1)
			from, to := pair(t)
			done := make(chan struct{})
			go func() {
				defer close(done)
				await(to, kindHello)
				test.say(to)
				to.Close()
			}()
			_, err := from.Ask(t.Context(), Hello{}, patient)
			if err == nil {
				_, err = from.HandOver(t.Context(), o, patient)
			}
			<-done
			var failed *Error
			if !errors.As(err, &failed) || failed.Step != test.step || !strings.Contains(err.Error(), test.reason) || len(err.Error()) > 2*longestReason {
				t.Errorf("error %v, want one of step %s with %q", err, test.step, test.reason)
			}
			o.works(t)
		})
	}
}

func offer(c *Conn) { c.say(kindOffer, Offer{Format: Format}) }

// Whatever the old process says, the new one finds fault with it and tells the old one.
func TestOldProcessLies(t *testing.T) {
	file := open(t)
	l := listen(t)
	d := dial(t, l)
	var listening, connected int
	for socket, fd := range map[syscall.Conn]*int{l: &listening, d.server: &connected} {
		var err error
		if *fd, err = duplicate(socket); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(*fd) })
	}
	tenant := func(c *Conn) { c.say(kindTenant, "main") }
	sessions := func(header string, body int, descriptors ...int) func(*Conn) {
		return func(c *Conn) {
			tenant(c)
			c.send(frame{kind: kindSessions, header: []byte(header), body: make([]byte, body), descriptors: descriptors})
		}
	}
	const one, two = `[{"State":0,"Input":1,"Due":2}]`, `[{"State":0,"Input":1,"Due":2},{"State":1}]`
	for name, test := range map[string]struct {
		say    func(c *Conn)
		reason string
	}{
		"go at once":            {func(c *Conn) { c.say(kindGo, nil) }, "says go instead of"},
		"a second hello":        {func(c *Conn) { c.say(kindHello, Hello{Format: Format}) }, "says hello instead of"},
		"a message of its own":  {func(c *Conn) { c.say(kindReady, Counts{}) }, "says ready instead of"},
		"no frame":              {func(c *Conn) { raw(c, []byte("GET / HTTP/1.1\r\n")) }, "message 71 is unknown"},
		"a huge body":           {func(c *Conn) { raw(c, headOf(kindPresence, 0, 0, mostBody+1)) }, "more than a message may have"},
		"presence of nobody":    {func(c *Conn) { c.send(frame{kind: kindPresence, body: []byte("x")}) }, "says presence before any tenant"},
		"sessions of nobody":    {func(c *Conn) { c.send(frame{kind: kindSessions, header: []byte("[]")}) }, "says sessions before any tenant"},
		"a file as session":     {sessions(one, 3, file), "session: "},
		"a file as listener":    {func(c *Conn) { c.send(frame{kind: kindListener, descriptors: []int{file}}) }, "not a listening socket"},
		"a session as listener": {func(c *Conn) { c.send(frame{kind: kindListener, descriptors: []int{connected}}) }, "not a listening socket"},
		"two listeners":         {func(c *Conn) { c.send(frame{kind: kindListener, descriptors: []int{listening, listening}}) }, "came with 2 descriptors"},
		"no listener":           {func(c *Conn) { c.send(frame{kind: kindListener}) }, "came with 0 descriptors"},
		"a session too many":    {sessions(two, 3, connected), "has 2 records and 1 descriptors"},
		"a session too few":     {sessions(one, 3, connected, connected), "has 1 records and 2 descriptors"},
		"bytes too few":         {sessions(one, 2, connected), "claims 1 and 2 bytes, of 2"},
		"bytes too many":        {sessions(one, 4, connected), "1 bytes that no record claims"},
		"negative lengths":      {sessions(`[{"State":0,"Input":-1,"Due":4}]`, 3, connected), "claims -1 and 4 bytes"},
		"lengths that overflow": {sessions(`[{"State":0,"Input":9223372036854775807,"Due":9223372036854775807}]`, 3, connected), "claims 9223372036854775807"},
		"no JSON of sessions":   {sessions(`{`, 3, connected), "sessions: "},
		"fewer than announced":  {func(c *Conn) { tenant(c); c.say(kindEnd, Counts{Tenants: 1, Sessions: 1}) }, "of {"},
		"more after the end":    {func(c *Conn) { tenant(c); c.say(kindEnd, Counts{Tenants: 1}); tenant(c) }, "says tenant after end"},
		"descriptors with end": {func(c *Conn) {
			c.send(frame{kind: kindEnd, header: []byte("{}"), descriptors: []int{file}})
			c.say(kindEnd, Counts{})
		}, "says end after end"},
	} {
		t.Run(name, func(t *testing.T) {
			flat(t)
			from, to := pair(t)
			done := make(chan error)
			n := &taker{}
			t.Cleanup(n.close)
			go func() { done <- to.TakeOver(t.Context(), n) }()
			if _, err := from.Ask(t.Context(), Hello{}, patient); err != nil {
				t.Fatal(err)
			}
			test.say(from)
			var refused *RefusedError
			for refused == nil {
				if err := from.receiveAnswer(kindReady, new(Counts)); err != nil && !errors.As(err, &refused) {
					t.Fatal(err)
				}
			}
			if err := <-done; err == nil || err.Error() != refused.Why || !strings.Contains(refused.Why, test.reason) {
				t.Errorf("error %v, refused for %q; want %q", err, refused.Why, test.reason)
			}
		})
	}
}
