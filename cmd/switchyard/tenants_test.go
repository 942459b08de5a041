//go:build full || race

package main

import (
	"bytes"
	"fmt"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// spoken returns a PDU with a text.
func spoken(text string) []byte { return pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte(text)) }

// Each listener's tenant has its own policy, and no PDU crosses to another tenant.
func TestTenantsByListener(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "echo.toml"), savedTable("broadcast-all"))
	p := configured(t, dir, `
[[listener]]
tenant = "one"
[[listener]]
address = "127.0.0.1:0"
tenant = "two"
[tenant.one]
policy = "file:echo.toml"
[tenant.two]
`)
	one := p.at(`"tenant":"one"`).dial()
	p.at(`"tenant":"two"`)
	two, other := p.dial(), p.dial()
	one.say(spoken("hello"))
	one.expect(spoken("hello")) // by its own rules
	two.say(spoken("hello"))
	other.expect(spoken("hello"))
	two.settle() // nothing came back
	one.settle() // nothing crossed
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitStopped {
		t.Errorf("exit code %d", code)
	}
	p.expect(`"msg":"PDUs"`, `"tenant":"one"`, `"received":3`)
	p.expect(`"msg":"PDUs"`, `"tenant":"two"`, `"received":4`)
	checkCounts(t, p)
}

// from returns a connection from that address of the loopback.
func from(t testing.TB, source, to string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	conn, err := dialer.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Tenants claim connections by their source. Each has its own policy, users and counts.
func TestTenantsBySource(t *testing.T) {
	t.Parallel()
	p := configured(t, t.TempDir(), `
[[listener]]
tenant = ""
tenants = ["acme", "globex"]
[tenant.acme.claims]
networks = ["127.0.1.0/24"]
[tenant.globex.claims]
networks = ["127.0.2.0/24", "127.0.3.1"]
`)
	a, b := p.join(from(t, "127.0.1.1", p.address)), p.join(from(t, "127.0.1.2", p.address))
	c, d := p.join(from(t, "127.0.2.1", p.address)), p.join(from(t, "127.0.3.1", p.address))
	unclaimed := from(t, "127.0.4.1", p.address)
	a.say(spoken("for acme"))
	b.expect(spoken("for acme"))
	c.say(spoken("for globex"))
	d.expect(spoken("for globex"))
	for _, x := range []peer{a, b, c, d} {
		x.settle()
	}
	expectEnd(t, unclaimed)
	p.expect("connection refused", `"reason":"unclaimed"`, "127.0.4.1")
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitStopped {
		t.Errorf("exit code %d", code)
	}
	p.expect(`"msg":"no longer listening"`, `"accepted":5`, `"open":4`, `"refused":{"unclaimed":1}`)
	checkCounts(t, p)
}

// Tenants, listeners and limits are added, changed and removed by reloads. A tenant that stays
// loses no PDU.
func TestTenantsComeAndGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	const base = "[[listener]]\ntenant = \"default\"\n[tenant.default]\n"
	p := configured(t, dir, base)
	a, b := p.dial(), p.dial()
	end := converse(a, b)
	for round := range 3 {
		name := fmt.Sprintf("acme-%d", round)
		seen := p.logged()
		replace(t, path, base+fmt.Sprintf("[[listener]]\naddress = \"127.0.0.1:0\"\ntenant = %q\n[tenant.%s.limits]\nconnections = 2\n", name, name))
		p.expectFrom(seen, "configuration reloaded", "tenant."+name)
		p.address = p.expectFrom(seen, `"msg":"listening"`, name)["address"].(string)
		c, d := p.dial(), p.dial()
		expectEnd(t, from(t, "127.0.0.1", p.address))
		p.expectFrom(seen, "connection refused", `"reason":"tenant-full"`)

		replace(t, path, base+fmt.Sprintf("[[listener]]\naddress = \"127.0.0.1:0\"\ntenant = %q\n[tenant.%s.limits]\nconnections = 3\n", name, name))
		p.expectFrom(seen, "configuration reloaded", "tenant."+name+".limits.connections")
		e := p.dial()

		last := bytes.Repeat(spoken("sent before the removal"), 1000)
		c.say(last)
		c.settle()
		seen = p.logged()
		replace(t, path, base)
		p.expectFrom(seen, "no longer listening", p.address)
		p.expectFrom(seen, "tenant removed; it drains", name)
		d.expect(last)
		e.expect(last)
		expectEnd(t, c)
		expectEnd(t, d)
		p.expectFrom(seen, `"msg":"copies"`, name, `"discarded":{}`)
		if conn, err := net.Dial("tcp", p.address); err == nil {
			conn.Close()
			t.Errorf("%s is still listened on", p.address)
		}
	}

	if n, err := end(); err != nil {
		t.Errorf("the tenant that stays failed after %d PDUs: %v", n, err)
	}
}

// converse sends a PDU from a to b every millisecond until end is called, which returns how many
// there were, and an error.
func converse(a, b net.Conn) (end func() (int, error)) {
	stop, done := make(chan struct{}), make(chan error)
	n := 0
	go func() {
		done <- func() error {
			pace := time.NewTicker(time.Millisecond)
			defer pace.Stop()
			for ; ; n++ {
				select {
				case <-stop:
					return nil
				case <-pace.C:
				}
				sent := spoken(fmt.Sprint("number ", n))
				if _, err := a.Write(sent); err != nil {
					return err
				}
				b.SetReadDeadline(time.Now().Add(patience))
				received, err := readSaid(b)
				if err != nil {
					return err
				}
				if !bytes.Equal(received, sent) {
					return fmt.Errorf("got %s, want %s", pdutest.Dump(received), pdutest.Dump(sent))
				}
			}
		}()
	}()
	return func() (int, error) {
		close(stop)
		err := <-done
		return n, err
	}
}
