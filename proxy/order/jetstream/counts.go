package jetstream

import (
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"switchyard/proxy/order"
)

// counts are read while the log is in use.
type counts struct {
	again      atomic.Uint64 // records that were had by direct get
	reconnects atomic.Uint64 // of connections that were given up
	next, end  atomic.Uint64 // the reader is to report the records from next up to end, end not included
	sub        atomic.Pointer[nats.Subscription]
}

// Counts returns what was counted so far. Any goroutine may call it.
func (l *Log) Counts() order.LogCounts {
	c := &l.counts
	all := order.LogCounts{ReadAgain: c.again.Load(), Reconnects: c.reconnects.Load() + l.link.Load().conn.Stats().Reconnects}
	if next, end := c.next.Load(), c.end.Load(); end > next {
		all.Behind = end - next
	}
	if sub := c.sub.Load(); sub != nil {
		if queued, _, err := sub.Pending(); err == nil { // an error means that it has ended
			all.Behind = max(all.Behind, uint64(queued))
		}
	}
	return all
}
