package admin

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"

	"switchyard/proxy/admin/api"
)

// An upgrade is requested here and carried out by the server (Backend.Upgrade). Its result is kept, and
// moves to the new process: a client whose connection broke asks that one how it ended.

// lastUpgrade answers with the last upgrade, or the one that is under way.
func (s *Server) lastUpgrade(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, http.StatusOK, s.backend.LastUpgrade())
}

// upgrade puts another program in the place of the running one, and answers when that has
// succeeded or failed. Over TCP the program cannot be named: a token allows to operate this
// server, and not to run programs as its user, which the owner of the socket is anyway.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) error {
	var asked api.UpgradeRequest
	if err := s.readJSON(w, r, &asked, 8<<10); err != nil {
		return err
	}
	switch {
	case asked.Program == "":
	case !callerOf(r).socket:
		return refuse(http.StatusForbidden, "program: another path is taken from admin.socket only; ask there, or leave it out")
	case !filepath.IsAbs(asked.Program):
		return errors.New("program: the path is not absolute; write it from / on")
	}
	s.logRequest(r, "upgrade", "program", asked.Program, "check", asked.Check)
	clearDeadlines(w)
	result, err := s.backend.Upgrade(r.Context(), asked)
	s.extendWriteDeadline(w)
	switch {
	case errors.As(err, new(Conflict)):
		return refuse(http.StatusConflict, "%v", err)
	case errors.Is(err, ErrStopping), errors.Is(err, context.Canceled):
		return refuse(http.StatusServiceUnavailable, "%v", err)
	case err != nil:
		return err
	case result.Result == api.UpgradeFailed:
		return answer(w, http.StatusUnprocessableEntity, result)
	default:
		return answer(w, http.StatusOK, result)
	}
}
