package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"switchyard/cmd/switchyard/trust"
	"switchyard/plugins/source"
	"switchyard/plugins/source/remote"
	"switchyard/policy/release/history"
	"switchyard/policy/wasm"
	"switchyard/proxy/config"
)

// Policies that are fetched from addresses. An address that is not reached changes nothing: the
// policy in force continues, and a start takes what was in force from the history's files.
//
//	follow ──▶ remote.Sources asks each address ──▶ srv.fetched ──▶ reload ──▶ trust.Checker.Fetched

// sourceTime is how long a start, or a reload with a new address, waits for an address.
const sourceTime = 5 * time.Second

// fetching is about policies that are fetched.
type fetching struct {
	sources *remote.Sources // nil if there never was one
	fetched chan struct{}   // sent to by sources; holds one
}

// follow makes the server follow the addresses of policies in these configurations, by the
// options of the last one. Without an address nothing runs.
func (srv *server) follow(configs ...*config.Config) {
	var names []string
	for _, c := range configs {
		for _, t := range c.Tenants {
			if source.IsRemote(t.Policy) {
				names = append(names, t.Policy)
			}
		}
	}
	// A server without addresses starts no goroutine for them.
	if srv.sources == nil && len(names) == 0 {
		return
	}
	if srv.sources == nil {
		srv.sources = remote.New(srv.log, srv.sourceTime, srv.noticeFetched)
		srv.state.sources.Store(srv.sources)
	}
	srv.sources.Set(FetchOptions(configs[len(configs)-1]), names)
}

// FetchOptions returns how policies are fetched by a configuration.
func FetchOptions(c *config.Config) remote.Options {
	return remote.Options{Poll: time.Duration(c.Registry.Poll), CA: c.File(c.Registry.CA), Auth: c.File(c.Registry.Auth),
		Max: int64(c.WASM.ModuleSize), Signed: len(c.Signatures.Keys) > 0}
}

// noticeFetched makes run reload. The goroutines of addresses call it.
func (f *fetching) noticeFetched() { notice(f.fetched) }

// isFetched reports whether nothing waits for an address.
func (f *fetching) isFetched() bool { return f.sources == nil || f.sources.Settled() }

// awaitSources waits until each address was reached, for sourceTime at most.
func (srv *server) awaitSources() {
	for !srv.isFetched() {
		select {
		case <-srv.fetched:
		case <-srv.stopper.requested.Done():
			return
		}
	}
}

// newChecker returns a checker that takes remote policies from what was fetched. It never waits for
// an address, as it runs on the goroutine of Serve.
func (srv *server) newChecker(c *config.Config) *trust.Checker {
	checker := trust.New(c, srv.ledger)
	checker.Fetched = func(name string) (source.File, []byte, error) {
		if srv.sources == nil {
			f, err := source.Read(name, "", 0) // which refuses it
			return f, nil, err
		}
		return fetchedFile(srv.sources.Content(name))
	}
	return checker
}

// fetchNow makes a checker fetch a remote policy when it is asked for, and wait for it: for
// 'switchyard check', which runs once.
func fetchNow(checker *trust.Checker, c *config.Config) {
	checker.Fetched = func(name string) (source.File, []byte, error) {
		return fetchedFile(remote.Fetch(context.Background(), name, FetchOptions(c)))
	}
}

// fetchedFile returns what was fetched in the form that a trust.Checker takes.
func fetchedFile(c remote.Content, err error) (source.File, []byte, error) {
	return c.File, c.Signature, err
}

// isUnreached reports whether a policy was refused because its address was not reached.
func isUnreached(err error) bool {
	e, ok := errors.AsType[*wasm.GateError](err)
	return ok && e.Gate == source.GateFetch
}

// kept returns a policy from the history in the place of the tenant's address, which was not
// reached: unreached says why. The first that applies decides:
//
//	a release of what the address had is under way   its candidate
//	the policy in force came from the address        that
//	in stages, at the start or after a kill          the stable policy
//	what the address had was rolled back             the policy that was gone back to
//
// The first two pass the same checks as if they were fetched again.
func (srv *server) kept(checker *trust.Checker, t config.Tenant, s *served, was history.Tenant, unreached error) (candidate, error) {
	if u := was.Underway; u != nil && u.Candidate.Name == t.Policy {
		if c, err := srv.keptAs(checker, t, &u.Candidate); err == nil {
			return c, nil
		}
	}
	p := was.InForce
	wasHeld := slices.ContainsFunc(was.Held, func(h history.Policy) bool { return h.Name == t.Policy })
	switch {
	case p == nil:
	case p.Name == t.Policy:
		c, err := srv.keptAs(checker, t, p)
		if err != nil {
			err = fmt.Errorf("%w; and the one that was in force does not load: %w", unreached, err)
		}
		return c, err
	case (isOutOfForce(s) || s.policy.kept == t.Policy) && (wasHeld || !atOnce(t)):
		c, err := srv.earlier(checker, t, p)
		if err != nil {
			return candidate{}, fmt.Errorf("%w; and the one that was in force does not load: %w", unreached, err)
		}
		if c.kept = t.Policy; !wasHeld {
			c.drift = ""
		}
		return c, nil
	}
	return candidate{}, unreached
}

// keptAs returns a policy that the tenant's address had, from the history's files.
func (srv *server) keptAs(checker *trust.Checker, t config.Tenant, p *history.Policy) (candidate, error) {
	f, signature, err := srv.earlierFiles(p)
	if err != nil {
		return candidate{}, err
	}
	c, err := limited(t)
	if err != nil {
		return candidate{}, err
	}
	c.config, c.kept = t.PolicyConfig, t.Policy
	c.Module, c.proof, err = checker.Kept(f, signature, t)
	return c, err
}
