package admin

import (
	"net/http"
	"time"
)

// places are taken by requests of one kind while they are answered, so that they are
// few.
type places chan struct{}

// take takes one. Without one, the error says how many there are and what can be done.
func (p places) take(otherwise string) error {
	select {
	case p <- struct{}{}:
		return nil
	default:
		return refuse(http.StatusTooManyRequests, "%d %s", cap(p), otherwise)
	}
}

// leave gives one back.
func (p places) leave() { <-p }

// begin takes a place among those who ask policies. They wait for one, as the page asks
// about several tenants in one go, and give it back by heavy.leave.
func (s *Server) begin(r *http.Request) error {
	turn := time.NewTimer(s.patience / 2)
	defer turn.Stop()
	select {
	case s.heavy <- struct{}{}:
		return nil
	case <-turn.C:
	case <-r.Context().Done():
	}
	return s.heavy.take("requests ask policies already; ask again when one of them is answered")
}
