package admin

import (
	"net/http"
	"time"
)

// A semaphore limits how many requests of one kind are answered at once.
type semaphore chan struct{}

// acquire takes a slot. If all are taken, the error is "<slots> <otherwise>", so otherwise
// says what occupies them and what the client can do.
func (s semaphore) acquire(otherwise string) error {
	select {
	case s <- struct{}{}:
		return nil
	default:
		return refuse(http.StatusTooManyRequests, "%d %s", cap(s), otherwise)
	}
}

// release gives the slot back that acquire took.
func (s semaphore) release() { <-s }

// acquirePolicyCall takes a slot of policyCalls. It waits for a free one for a while, as the
// dashboard asks about several tenants at once.
func (s *Server) acquirePolicyCall(r *http.Request) error {
	timer := time.NewTimer(s.clientTimeout / 2)
	defer timer.Stop()
	select {
	case s.policyCalls <- struct{}{}:
		return nil
	case <-timer.C:
	case <-r.Context().Done():
	}
	return s.policyCalls.acquire("requests ask policies already; ask again when one of them is answered")
}
