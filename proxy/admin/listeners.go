package admin

import (
	"net/http"

	"switchyard/proxy/admin/api"
)

// listeners answers with all listeners and their counts since they opened.
func (s *Server) listeners(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, http.StatusOK, api.Listeners{Listeners: append([]api.Listener{}, s.backend.State().Listeners...)})
}
