package admin

import "sync"

// A bell wakes those who wait for news. The zero bell is ready.
type bell struct {
	mu      sync.Mutex // guards hearers; nothing else is locked while it is held
	hearers map[chan<- struct{}]struct{}
}

// hear has hearer, which holds one, sent to when there is news, until the function that
// it returns is called.
func (b *bell) hear(hearer chan<- struct{}) (stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hearers == nil {
		b.hearers = make(map[chan<- struct{}]struct{})
	}
	b.hearers[hearer] = struct{}{}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.hearers, hearer)
	}
}

// ring tells that there is news. It waits for nobody.
func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for hearer := range b.hearers {
		select {
		case hearer <- struct{}{}:
		default: // it has not looked since the last time
		}
	}
}
