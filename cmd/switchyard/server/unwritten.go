package server

import (
	"fmt"
	"maps"
	"sync"

	"switchyard/proxy/hub"
)

// unwritten counts the copies that a stop discarded. What was discarded before the stop, because
// a peer broke its connection or was too slow, does not count: the exit code is about the stop.
type unwritten struct {
	mu       sync.Mutex // guards what follows
	stopping bool
	copies   map[hub.Reason]uint64
}

// begin makes add count from now on.
func (u *unwritten) begin() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stopping, u.copies = true, make(map[hub.Reason]uint64)
}

// add adds what a tenant has discarded between two moments. Only tenants that end during the stop
// count.
func (u *unwritten) add(before, after map[hub.Reason]uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for why, n := range after {
		if more := n - before[why]; u.stopping && more > 0 {
			u.copies[why] += more
		}
	}
}

// err returns an error that is ErrForced if copies were discarded.
func (u *unwritten) err() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.copies) == 0 {
		return nil
	}
	return fmt.Errorf("%w; discarded: %v", ErrForced, maps.Clone(u.copies))
}
