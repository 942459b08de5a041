//go:build full || race

package proxy

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/hub"
)

// A good peer's large PDU is not closed because of many small ones that stall, each of which has
// cost less.
func TestInputFullOfManyPeers(t *testing.T) {
	l := testLimits()
	l.Timeout = time.Hour
	inBubble(t, l, func(y bubble) {
		y.inputs.limitTo(2 << 20)
		good := y.enter()
		for range 200 {
			y.enter().Write(part(5000)) // in buffers of 8 KiB
		}
		time.Sleep(10 * time.Second)
		for piece := range slices.Chunk(part(1<<20), 100<<10) { // 2 MiB in a second
			good.Write(piece)
			time.Sleep(50 * time.Millisecond)
		}
		synctest.Wait()
		y.expectCounts("the good peer stays", func(c hub.Counts) bool { return c.Received == 1 && c.Closed[hub.InputFull] > 0 })
	})
}
