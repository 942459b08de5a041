package server

import (
	"fmt"
	"maps"
	"sync"

	"switchyard/proxy/hub"
)

// unwritten counts the copies that a stop discarded, and the PDUs of a cluster's hub that nobody may
// ever have routed. What was discarded before the stop, because a peer broke its connection or was too
// slow, does not count: the exit code is about the stop.
type unwritten struct {
	mu       sync.Mutex // guards what follows
	stopping bool
	copies   map[hub.Reason]uint64
	underway uint64 // PDUs that had not come back from the bus
}

// begin makes add count from now on.
func (u *unwritten) begin() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stopping, u.copies = true, make(map[hub.Reason]uint64)
}

// add adds what a tenant has discarded since before, and what it leaves under way. Only tenants that
// end during the stop count.
func (u *unwritten) add(before map[hub.Reason]uint64, c hub.Counts) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.stopping {
		return
	}
	for why, n := range c.Discarded {
		if more := n - before[why]; more > 0 {
			u.copies[why] += more
		}
	}
	u.underway += c.Underway
}

// err returns an error that is ErrForced if copies were discarded or PDUs left under way. The exit
// code is 1 then, as after a forced stop: in both cases peers did not get everything.
func (u *unwritten) err() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.copies) == 0 && u.underway == 0 {
		return nil
	}
	err := ErrForced
	if len(u.copies) > 0 {
		err = fmt.Errorf("%w; discarded: %v", err, maps.Clone(u.copies))
	}
	if u.underway > 0 {
		err = fmt.Errorf("%w; PDUs that had not come back from the bus: %d", err, u.underway)
	}
	return err
}
