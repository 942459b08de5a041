//go:build full || race

package proxy

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"switchyard/pdu"
)

// The memory for the edits of a burst is freed when the burst is over, for connections
// of both kinds.
func TestBurstsAreGivenBack(t *testing.T) {
	t.Parallel()
	asked := pdu.Append(nil, pdu.SID_BUDDY_LIST, request, 1, []byte("\x08\x01"))
	const times, none = 20_000, 2 * (256 << 10)
	answers := int64(times * (len(asked) + 3))
	play := func(t testing.TB, y *Tenant, conn net.Conn) {
		say(conn, bytes.Repeat(asked, 100), times/100)
		if _, err := io.CopyN(io.Discard, conn, answers); err != nil {
			t.Fatal(err)
		}
	}
	inBubble(t, testLimits(), func(y bubble) {
		a := y.idle()
		play(y.T, y.Tenant, a)
		y.expectMemory("all is read", none+1, 1<<30)
		time.Sleep(3 * time.Second)
		y.expectMemory("3 s later", none, none)
	})
	tenant, addr, _ := serve(t, patient(testLimits()))
	play(t, tenant, dial(t, addr))
	eventually(t, "the memory is given back", func() bool { return tenant.Hub().Memory() == none })
}
