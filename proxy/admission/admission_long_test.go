//go:build full || race

package admission

import (
	"fmt"
	"io"
	"sync"
	"testing"
)

// 2,000 peers that come and go leave no state behind.
func TestComingAndGoing(t *testing.T) {
	t.Parallel()
	h := open(t, Options{AcceptRate: 200, SourceConnections: 1000, ProxyFrom: networks("127.0.1.0/28"), HandshakeTimeout: testTimeout})
	var serving sync.WaitGroup
	serving.Go(func() {
		for range 2000 {
			h.serves("main").end()
		}
	})
	for i := range 2000 {
		conn := h.dial(fmt.Sprintf("127.0.1.%d", i%200))
		io.WriteString(conn, "PROXY TCP4 127.0.2.1 127.0.0.1 1 2\r\n") // for those that are proxies
		conn.CloseWrite()
	}
	serving.Wait()
	h.mu.Lock()
	if n := len(h.handshakes); n > 0 {
		t.Errorf("%d handshakes in progress", n)
	}
	h.mu.Unlock()
	if c := h.conserved(); c.Ended != 2000 || c.Open != 0 {
		t.Errorf("%+v", c)
	}
	eventually(t, func() bool { return h.Counts().Sources == 0 }, func() string { return fmt.Sprintf("%+v", h.Counts()) })
}
