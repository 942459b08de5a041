package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"switchyard/policy"
	"switchyard/policy/review"
	"switchyard/policy/wasm"
	"switchyard/proxy/admin/api"
)

// Two requests compare policies. Both extract the routing tables of two policies by asking each about
// the same ids (package review), and answer with the rows that differ:
//
//	POST /api/v1/compare             the one in force, and a file that the client sends
//	GET  /api/v1/policies/compare    two that are or were in force, by the SHA-256 of their files
//
// The first one loads code that nobody has vouched for, in all the gates and limits of a policy that is
// to be installed.

// maxName is the longest file name of a candidate, in bytes.
const maxName = 255

// compare answers with what a policy's file would change. It does not install it. It needs the right
// to operate all the same: loading runs code of the client's, with all that a policy may use.
func (s *Server) compare(w http.ResponseWriter, r *http.Request) error {
	q, t, err := s.tenantQuery(r, "name")
	if err != nil {
		return err
	}
	name := q.Get("name")
	if len(name) > maxName {
		return errors.New("name is longer than that of a file can be; leave out folders")
	}
	// The slot comes before the body, so that only maxPolicyCalls files are in memory at a time.
	if err := s.acquirePolicyCall(r); err != nil {
		return err
	}
	defer s.policyCalls.release()
	file, err := s.readBody(w, r, "application/octet-stream", s.backend.State().ModuleBytes)
	if err != nil {
		return err
	}
	clearDeadlines(w)
	start := time.Now()
	candidate, err := s.backend.Load(r.Context(), t.Name, name, file)
	s.extendWriteDeadline(w)
	s.logRequest(r, "compare", "tenant", t.Name, "bytes", len(file), "took", time.Since(start).Round(time.Millisecond).String())
	if gate, ok := errors.AsType[*wasm.GateError](err); ok {
		return answer(w, http.StatusUnprocessableEntity, api.Error{Error: err.Error(), Gate: string(gate.Gate)})
	}
	if err != nil {
		return err
	}
	defer candidate.Release()
	g, err := acquire(t)
	if err != nil {
		return err
	}
	defer g.Release()
	c := compared(r.Context(), t.Name, g, candidate)
	s.extendWriteDeadline(w)
	return answer(w, http.StatusOK, c)
}

// compared asks both policies about the same ids, within the tenant's may settings, and returns what
// differs. Neither counts faults or fills a memo for that.
func compared(ctx context.Context, tenant string, before, after *policy.Generation) api.Comparison {
	same := before.SHA256 == after.SHA256 && string(before.Config) == string(after.Config)
	c := api.Comparison{Tenant: tenant, Before: identify(before), After: identify(after),
		Same: same, Changes: []api.Change{}, Warnings: []string{}}
	ctx, cancel := context.WithTimeout(ctx, 2*reviewTime)
	defer cancel()
	old, next := review.InForce{Generation: before}, review.InForce{Generation: after}
	q := review.NewQuestions(before.SeenServices(), old, next)
	table := q.Extract(ctx, next)
	c.Asked = table.Asked()
	for _, change := range review.Compare(q.Extract(ctx, old), table, same) {
		c.Changes = append(c.Changes, api.Change{Command: change.Command, First: change.First, Last: change.Last, Known: change.Known,
			Alike: change.Alike, Unproven: change.Unproven, Scope: change.Scope, Before: change.Before, After: change.After})
	}
	c.Warnings = append(c.Warnings, table.Warnings()...)
	return c
}

// comparePolicies answers with what differs between two policies of a tenant, which are named by the
// SHA-256 of their files: the one in force, and those that were in force before and are kept. It
// needs no right to operate, as it runs nothing that was not in force.
func (s *Server) comparePolicies(w http.ResponseWriter, r *http.Request) error {
	q, t, err := s.tenantQuery(r, "before", "after")
	if err != nil {
		return err
	}
	for _, name := range []string{"before", "after"} {
		if q.Get(name) == "" {
			return fmt.Errorf("the query has no %s; write %[1]s=SHA256, as /api/v1/policies and /api/v1/releases have it", name)
		}
	}
	clearDeadlines(w)
	if err := s.acquirePolicyCall(r); err != nil {
		return err
	}
	defer s.policyCalls.release()
	var both [2]*policy.Generation
	for i, name := range []string{"before", "after"} {
		g, err := s.earlier(r.Context(), t, q.Get(name))
		if err != nil {
			s.extendWriteDeadline(w)
			return err
		}
		defer g.Release()
		both[i] = g
	}
	c := compared(r.Context(), t.Name, both[0], both[1])
	s.extendWriteDeadline(w)
	return answer(w, http.StatusOK, c)
}

// earlier returns the policy of that SHA-256, which the caller releases: the one in force, or one that
// was. The latter is loaded from the files that the history keeps, which are as many as releases.keep
// says.
func (s *Server) earlier(ctx context.Context, t Tenant, sha256 string) (*policy.Generation, error) {
	g, err := acquire(t)
	if err != nil || g.Sum() == sha256 {
		return g, err
	}
	g.Release()
	name, ok := s.nameOf(t.Name, sha256)
	if !ok {
		return nil, refuse(http.StatusNotFound, "tenant %s had no policy with the SHA-256 %.80q in force; /api/v1/policies and /api/v1/releases list those it had", t.Name, sha256)
	}
	g, err = s.backend.LoadKept(ctx, t.Name, name, sha256)
	if err != nil {
		return nil, refuse(http.StatusNotFound, "policy %.12s is not kept: %v", sha256, err)
	}
	return g, nil
}

// nameOf finds the name of a policy that was in force: among the last events of this process, or, for
// those from before its start, among the policies that can be brought back.
func (s *Server) nameOf(tenant, sha256 string) (name string, ok bool) {
	for _, e := range s.options.History.History(tenant) {
		if e.SHA256 == sha256 && e.State != api.Refused {
			return e.Name, true
		}
	}
	for _, p := range s.backend.Release(tenant).Previous {
		if p.SHA256 == sha256 {
			return p.Name, true
		}
	}
	return "", false
}
