package admin

import "sync"

// A notifier wakes subscribers when something has changed. The zero notifier is ready.
type notifier struct {
	mu          sync.Mutex // guards subscribers; nothing else is locked while it is held
	subscribers map[chan<- struct{}]struct{}
}

// subscribe makes notify send to wake, which must have room for one, until stop is called.
func (n *notifier) subscribe(wake chan<- struct{}) (stop func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.subscribers == nil {
		n.subscribers = make(map[chan<- struct{}]struct{})
	}
	n.subscribers[wake] = struct{}{}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.subscribers, wake)
	}
}

// notify wakes all subscribers. It does not block.
func (n *notifier) notify() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for wake := range n.subscribers {
		select {
		case wake <- struct{}{}:
		default: // the last wake-up is still pending
		}
	}
}
