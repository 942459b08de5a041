//go:build full || race

package admission

import (
	"context"
	"fmt"
	"io"
	"testing"

	"switchyard/proxy"
)

// Peers of one tenant reach each other over plain TCP, a proxy and TLS. A peer that has
// sent nothing receives too. Ended connections are counted.
func TestPeersMeet(t *testing.T) {
	t.Parallel()
	real, stop, _ := realTenant(proxy.Limits{})
	defer stop()
	find := func(string) Server { return real }
	plain := openFor(t, Options{ProxyFrom: networks("127.0.0.2/32"), HandshakeTimeout: testTimeout}, find)
	secure := openFor(t, Options{TLS: serverTLS(t), HandshakeTimeout: testTimeout}, find)
	direct, behind := plain.dial(), plain.dial("127.0.0.2")
	over, err := handshake(t, secure.dial(), "")
	if err != nil {
		t.Fatal(err)
	}
	sessions := func(n int) {
		t.Helper()
		eventually(t, func() bool { return real.Hub().Counts().Sessions == n }, func() string { return "not all have joined" })
	}
	sessions(2)
	io.WriteString(behind, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"+message("glued"))
	hears(t, direct, message("glued"))
	hears(t, over, message("glued"))
	io.WriteString(over, message("by TLS"))
	hears(t, direct, message("by TLS"))
	hears(t, behind, message("by TLS"))
	io.WriteString(direct, message("plainly"))
	hears(t, behind, message("plainly"))
	hears(t, over, message("plainly"))

	// A session over TLS ends gracefully, too: the last bytes arrive.
	io.WriteString(over, message("last words")+"\x00\x00\x00\x01 is not a length")
	hears(t, direct, message("last words"))
	if rest, err := io.ReadAll(over); err != nil || len(rest) > 0 {
		t.Errorf("read %q (%v), want the end", rest, err)
	}
	over.Close()
	sessions(2)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if err := real.Drain(ctx, 0); err != nil {
		t.Error(err)
	}
	for h, want := range map[*harness]uint64{plain: 2, secure: 1} {
		eventually(t, func() bool { return h.conserved().Ended == want }, func() string { return fmt.Sprintf("%+v, want %d ended", h.Counts(), want) })
	}
	gone(t, plain.dial())
	plain.refuses(map[Reason]uint64{TenantStopping: 1})
}
