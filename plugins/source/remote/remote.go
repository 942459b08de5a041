// Package remote fetches policies from other machines and polls them for new content. It keeps
// the fetched policies in memory. It neither loads policies nor decides about them.
//
//	remote.go     Sources: the addresses that are followed, and what was fetched from them
//	follow.go     the goroutine of each address
//	https.go      how a policy is fetched over HTTPS
//	oci.go        how one is fetched from a registry, and pushed
//	transport.go  restrictions on all requests
//	auth.go       credentials
package remote

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"switchyard/plugins/source"
	"switchyard/policy/wasm"
)

// Options say how policies are fetched. They may be compared.
type Options struct {
	Poll   time.Duration // between two requests
	CA     string        // path of a PEM file, see the configuration's registry.ca; empty for none
	Auth   string        // path of a file in docker's format; empty for none
	Max    int64         // size in bytes of the largest policy
	Signed bool          // fetch signatures, too
}

// A Content is a policy as another machine served it at one moment.
type Content struct {
	File      source.File
	Signature []byte // nil if there is none, or none was requested

	version, signatureVersion string // the machine's version of file and signature; empty if it reports none
}

// fetchTime is how long fetching a policy may take.
const fetchTime = 30 * time.Second

// Fetch fetches the named policy once. The error is a *wasm.GateError.
func Fetch(ctx context.Context, name string, o Options) (Content, error) {
	c, err := fetch(ctx, name, o, nil)
	if err != nil {
		return Content{}, refusal(name, err)
	}
	return *c, nil
}

// refusal returns the error of a policy that could not be fetched.
func refusal(name string, err error) error {
	remedy := "make it available there, or name another policy"
	if e, ok := errors.AsType[*remedied](err); ok {
		remedy = e.remedy
	}
	return &wasm.GateError{Gate: source.GateFetch, Policy: name, Err: err, Remedy: remedy}
}

// same reports whether both are the same file with the same signature.
func (c *Content) same(d *Content) bool {
	return c != nil && d != nil && c.File.SHA256 == d.File.SHA256 && bytes.Equal(c.Signature, d.Signature)
}

// fetch fetches a policy. If before is not nil, it only checks whether the policy has changed.
func fetch(ctx context.Context, name string, o Options, before *Content) (*Content, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	client, err := newClient(name, o)
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	if !strings.HasPrefix(name, ociScheme) {
		c, err := (&httpsSource{client, name, o}).fetch(ctx, before)
		return c, redact(err)
	}
	repository, err := newRepository(client, name)
	if err != nil {
		return nil, redact(err)
	}
	c, err := (&ociSource{repository, name, o}).fetch(ctx, before)
	return c, redact(err)
}

// Sources poll addresses of policies for new content, with one goroutine for each address.
// Sources are safe for concurrent use.
type Sources struct {
	log     *slog.Logger
	changed func()          // called without a lock, by the goroutine of an address or by its timer
	wait    time.Duration   // see Settled
	ctx     context.Context // of all requests
	cancel  context.CancelFunc
	running sync.WaitGroup // the goroutines of all addresses

	mu      sync.Mutex // guards what follows
	options Options
	follows map[string]*follower
}

// New returns Sources without addresses. changed is called whenever the results of Content or
// Settled may have changed; it must not block. wait is how long Settled waits for an address.
func New(log *slog.Logger, wait time.Duration, changed func()) *Sources {
	s := &Sources{log: log, changed: changed, wait: wait, follows: make(map[string]*follower)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Set replaces the addresses. The content of addresses that remain is kept; new options take
// effect at once.
func (s *Sources) Set(o Options, names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wake := o != s.options
	s.options = o
	keep := make(map[string]*follower, len(names))
	for _, name := range names {
		f := s.follows[name]
		switch {
		case keep[name] != nil:
			continue
		case f == nil:
			f = s.follow(name)
		case wake:
			f.wakeUp()
		}
		keep[name] = f
	}
	for name, f := range s.follows {
		if keep[name] == nil {
			f.end()
		}
	}
	s.follows = keep
}

// Wake polls all addresses now.
func (s *Sources) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.follows {
		f.wakeUp()
	}
}

// Settled reports whether each address was either reached or tried for the time given to
// New.
func (s *Sources) Settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.follows {
		if !f.settled {
			return false
		}
	}
	return true
}

// Content returns the content of an address when it was last reached. The error is a
// *wasm.GateError.
func (s *Sources) Content(name string) (Content, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.follows[name]
	switch {
	case f != nil && f.content != nil:
		return *f.content, nil
	case f != nil && f.err != nil:
		return Content{}, refusal(name, f.err)
	}
	return Content{}, refusal(name, errors.New("it was not reached yet"))
}

// Reached returns when an address was last reached, or the zero time if it never was.
func (s *Sources) Reached(name string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.follows[name]; f != nil {
		return f.reached
	}
	return time.Time{}
}

// Close ends all requests and waits for the goroutines of the addresses. A timer that fires at the same
// moment may still call changed once.
func (s *Sources) Close() {
	s.Set(Options{}, nil)
	s.cancel()
	s.running.Wait()
}
