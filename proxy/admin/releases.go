package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"unicode/utf8"

	"switchyard/policy/release/history"
	"switchyard/proxy/admin/api"
)

// What operators can do to a tenant's policy.
const (
	Promote  = "promote"  // a release to its next stage
	Pause    = "pause"    // a release
	Resume   = "resume"   // a release
	Rollback = "rollback" // a release, or to an earlier policy
	Retry    = "retry"    // load again what was rolled back
	Kill     = "kill"     // the shipped policy, until Revive
	Revive   = "revive"
)

// A Verb is a request to change a tenant's policy.
type Verb struct {
	Name    string // one of the constants
	Tenant  string
	Release uint64 // the number that the request is about; 0 for the present one
	To      string // of Rollback; empty for the previous policy
	All     bool   // of Promote: past all stages
	Reason  string
	By      string // who asks

	Reconnect bool // of Rollback: peers are closed one after the other, so that they reconnect
}

// A Conflict is the error of a Verb that does not fit what is in force.
type Conflict struct{ Text string }

func (c Conflict) Error() string { return c.Text }

const (
	maxReason  = 1000 // bytes of a reason
	maxEntries = 500  // of the history in one answer
)

// Operators change a tenant's policy by verbs, one endpoint for each. A verb goes to the server's own
// goroutine (Backend.Carry), which knows what is in force and writes the history; here it is only read,
// checked and logged:
//
//	200   carried out; the answer has the state after it
//	409   it does not fit: no release is under way, another one than named, nothing to go back to
//	422   the policy that it leads to was refused
//	503   the server stops, or the client has gone

// releases answers with the state of tenants' policies.
func (s *Server) releases(w http.ResponseWriter, r *http.Request) error {
	tenants, err := s.tenantsOf(r)
	if err != nil {
		return err
	}
	all := api.Releases{Releases: []api.Release{}}
	for _, t := range tenants {
		all.Releases = append(all.Releases, s.backend.Release(t.Name))
	}
	p := s.options.Records.Position()
	all.History = api.HistoryAccount{Entries: p.Number, Head: p.Sum, Unsaved: p.Unsaved, Intact: p.Damaged == nil}
	if p.Err != nil {
		all.History.Error = p.Err.Error()
	}
	return answer(w, http.StatusOK, all)
}

// releaseHistory answers with the last entries of the history.
func (s *Server) releaseHistory(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, nil, "tenant", "limit")
	if err != nil {
		return err
	}
	limit := q.number("limit", 50, 1, maxEntries)
	name, err := s.tenantOrAll(q)
	if err = cmp.Or(q.err, err); err != nil {
		return err
	}
	some := api.ReleaseHistory{Entries: []api.HistoryEntry{}}
	for _, e := range s.options.Records.Recent(name, int(limit)) {
		some.Entries = append(some.Entries, EntryOf(&e))
	}
	return answer(w, http.StatusOK, some)
}

// receipt answers with the receipt of one release. The receipt is in the entry that ended the release, and
// is known by the number of the entry that began it.
func (s *Server) receipt(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, nil, "release")
	if err != nil {
		return err
	}
	id := q.number("release", 0, 1, math.MaxInt64)
	if q.err != nil {
		return q.err
	}
	if id == 0 {
		return errors.New("the query names no release; write release=NUMBER, as /api/v1/releases/history has it")
	}
	for _, e := range s.options.Records.Recent("", maxEntries) {
		if e.ID() != id || e.Receipt == nil {
			continue
		}
		statement, signers, err := history.ReadReceipt(e.Receipt, nil)
		if err != nil { // does not happen with receipts of this program
			return refuse(http.StatusInternalServerError, "%v", err)
		}
		return answer(w, http.StatusOK, api.ReleaseReceipt{Release: id, Signers: append([]string{}, signers...), Statement: statement, Receipt: e.Receipt})
	}
	return refuse(http.StatusNotFound, "release %d has no receipt among the last %d entries of the history; it has one when it has ended, under the number of its first entry", id, maxEntries)
}

// verb returns the responder of a request to change a tenant's policy. It answers when the change is
// made, which may take as long as a policy takes to load; maxReloads such requests may wait.
func (s *Server) verb(name string) responder {
	return func(w http.ResponseWriter, r *http.Request) error {
		var asked api.ReleaseRequest
		if err := s.readJSON(w, r, &asked, 4<<10); err != nil {
			return err
		}
		t, err := s.tenant(asked.Tenant)
		if err != nil {
			return err
		}
		if err := checkReason(asked.Reason); err != nil {
			return err
		}
		switch {
		case asked.To != "" && name != Rollback:
			return fmt.Errorf("to: only a rollback goes to another policy; leave it out")
		case asked.All && name != Promote:
			return fmt.Errorf("all: only a promotion can pass all stages; leave it out")
		case asked.Reconnect && name != Rollback:
			return fmt.Errorf("reconnect: only a rollback makes peers reconnect; leave it out")
		}
		if err := s.reloads.acquire("requests wait already; ask again when they are done"); err != nil {
			return err
		}
		defer s.reloads.release()
		by := s.who(r)
		s.logRequest(r, name, "tenant", t.Name, "reason", asked.Reason)
		clearDeadlines(w)
		result, err := s.backend.Carry(r.Context(), Verb{name, t.Name, asked.Release, asked.To, asked.All, asked.Reason, by, asked.Reconnect})
		s.extendWriteDeadline(w)
		return carried(w, result, err)
	}
}

// checkReason checks why an operator asks for something.
func checkReason(reason string) error {
	if len(reason) > maxReason || !utf8.ValidString(reason) {
		return fmt.Errorf("reason: write at most %d bytes of text", maxReason)
	}
	return nil
}

// carried answers with the result of a Verb.
func carried(w http.ResponseWriter, result api.Release, err error) error {
	switch {
	case err == nil:
		return answer(w, http.StatusOK, result)
	case errors.As(err, new(Conflict)):
		return refuse(http.StatusConflict, "%v", err)
	case errors.Is(err, ErrStopping), errors.Is(err, context.Canceled):
		return refuse(http.StatusServiceUnavailable, "%v", err)
	default:
		return refuse(http.StatusUnprocessableEntity, "%v", err)
	}
}

// EntryOf returns an entry of the history as clients see it.
func EntryOf(e *history.Entry) api.HistoryEntry {
	return api.HistoryEntry{Number: e.Number, Time: e.Time, Kind: string(e.Kind), Tenant: e.Tenant, Release: e.ID(), From: PolicyOf(e.From), To: PolicyOf(e.To),
		Who: api.ReleaseWho{By: e.Who.By, Owner: e.Who.Owner, Changed: e.Who.Changed, Signers: append([]string{}, e.Who.Signers...)}, Reason: e.Reason}
}

// PolicyOf returns a policy of the history as clients see it.
func PolicyOf(p *history.Policy) *api.ReleasedPolicy {
	if p == nil {
		return nil
	}
	return &api.ReleasedPolicy{Name: p.Name, SHA256: p.SHA256, Identity: p.Identity, Version: p.Version, Signers: append([]string{}, p.Signers...)}
}
