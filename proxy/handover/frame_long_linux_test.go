//go:build full || race

package handover

import (
	"bytes"
	"testing"
)

// The largest body and the largest header arrive, and what is larger is not sent.
func TestLargestFrame(t *testing.T) {
	from, to := pair(t)
	larger := make([]byte, mostBody+1)
	body, header := larger[:mostBody], bytes.Repeat([]byte(" "), mostHeader)
	body[mostBody-1] = 7
	failed := make(chan error, 1)
	go func() { failed <- from.send(frame{kind: kindPresence, header: header, body: body}) }()
	f, err := to.receive()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	if err != nil || !bytes.Equal(f.body, body) || !bytes.Equal(f.header, header) {
		t.Errorf("%d and %d bytes arrive: %v", len(f.header), len(f.body), err)
	}
	for _, f := range []frame{{header: append(header, ' ')}, {body: larger}, {descriptors: make([]int, mostTogether+1)}} {
		if err := from.send(f); err == nil {
			t.Errorf("sent %d bytes of header, %d of body and %d descriptors", len(f.header), len(f.body), len(f.descriptors))
		}
	}
}
