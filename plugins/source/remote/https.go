package remote

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"switchyard/plugins/source"
	"switchyard/policy/provenance"
)

// maxSignature is the size in bytes of the largest signature file.
const maxSignature = 64 << 10

// An httpsSource fetches a policy from a web server: FILE, and FILE.sig. These are two requests, so a
// file that is published between them may come with the signature of the one before. The signature
// then does not fit, the server refuses the policy, and the next request gets both.
type httpsSource struct {
	client  *http.Client
	name    string
	options Options
}

// fetch returns what the addresses have now; before is what was fetched last, or nil. A file that
// still has the ETag of before is not downloaded again.
func (s *httpsSource) fetch(ctx context.Context, before *Content) (*Content, error) {
	if before == nil {
		before = new(Content)
	}
	// Of before, body and signature are kept each by its own ETag:
	//
	//	FILE           FILE.sig        content
	//	200            200             both are new
	//	304            200             signed again, for example with a later time
	//	200            404             the new file has no signature; whether that will do is decided later
	file, err := s.get(ctx, s.name, before.version, s.options.Max)
	if err != nil {
		return nil, err
	}
	if !file.there {
		return nil, fmt.Errorf("the answer is %q", file.status)
	}
	signature := answer{there: true}
	if s.options.Signed {
		if signature, err = s.get(ctx, signatureAddress(s.name), before.signatureVersion, maxSignature); err != nil {
			return nil, fmt.Errorf("its signature file: %w", err)
		}
	}
	if file.unchanged {
		file.body = before.File.Bytes
	}
	switch {
	case signature.unchanged:
		signature.body = before.Signature
	case !signature.there:
		signature.body = nil
	}
	c := &Content{source.Remote(s.name, file.body), signature.body, file.version, signature.version}
	// An ETag may be of any length; one that is too long for the history still serves the next request.
	if len(file.version) <= maxRevision {
		c.File.Revision = file.version
	}
	return c, nil
}

// maxRevision is how long an ETag may be, in bytes, to be recorded.
const maxRevision = 128

// signatureAddress returns the address of the signature file. The suffix belongs to the path, in front
// of a query: https://example.org/acme.wasm?v=7 has https://example.org/acme.wasm.sig?v=7.
func signatureAddress(name string) string {
	u, err := url.Parse(name)
	if err != nil {
		return name
	}
	u.Path = provenance.SignatureFile(u.Path)
	if u.RawPath != "" { // a name with %2F in it stays one name
		u.RawPath = provenance.SignatureFile(u.RawPath)
	}
	return u.String()
}

// An answer is the response of a web server.
type answer struct {
	status    string
	there     bool // the file exists
	unchanged bool // the file still has the given version; body is empty
	body      []byte
	version   string // its ETag; empty if it has none
}

// get fetches a file of at most max bytes. If version is not empty and the file still has it,
// get returns no body.
func (s *httpsSource) get(ctx context.Context, address, version string, max int64) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("User-Agent", userAgent)
	if version != "" {
		r.Header.Set("If-None-Match", version)
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{status: resp.Status, there: true, version: resp.Header.Get("ETag")}
	switch resp.StatusCode {
	case http.StatusOK:
		a.body, err = readAll(resp, max)
		return a, err
	case http.StatusNotModified:
		a.unchanged, a.version = true, version
		if version == "" {
			return answer{}, fmt.Errorf("the answer is %q, and nothing was there before", resp.Status)
		}
		return a, nil
	case http.StatusNotFound, http.StatusGone:
		a.there = false
		return a, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return answer{}, &remedied{fmt.Errorf("the answer is %q", resp.Status), remedyLogin}
	}
	return answer{}, fmt.Errorf("the answer is %q", resp.Status)
}

// readAll reads a body of at most max bytes. The length that a server announces only saves the
// download: it may be missing or wrong.
func readAll(resp *http.Response, max int64) ([]byte, error) {
	if resp.ContentLength > max {
		return nil, tooLarge(max)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, max+1))
	if err == nil && int64(len(body)) > max {
		err = tooLarge(max)
	}
	return body, err
}

func tooLarge(max int64) error {
	return &remedied{fmt.Errorf("it is larger than %d bytes", max), "raise wasm.module_size if the policy is to be as large"}
}
