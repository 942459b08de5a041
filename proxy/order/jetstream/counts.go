package jetstream

import (
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"switchyard/proxy/order"
)

// counts are read while the log is in use.
type counts struct {
	again      atomic.Uint64 // records that were had by direct get
	reconnects atomic.Uint64
	next, end  atomic.Uint64 // the reader is to report the records from next up to end, end not included
	sub        atomic.Pointer[nats.Subscription]
}

// Counts returns what was counted so far. Any goroutine may call it. It asks the connection nothing,
// which may be locked for as long as its socket takes no record.
func (l *Log) Counts() order.LogCounts {
	c := &l.counts
	all := order.LogCounts{ReadAgain: c.again.Load(), Reconnects: c.reconnects.Load()}
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
