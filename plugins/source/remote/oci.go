package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"switchyard/plugins/source"
)

// A policy in a registry is an image manifest: a config, one layer with the policy, and perhaps
// one with its signature. Layers of other types are ignored.
//
//	oci://registry.example/routes:v7 ─▶ manifest sha256:5e1c…
//	                                      config     application/vnd.wasm.config.v0+json
//	                                      layers[0]  application/wasm, or …policy.table.v1+toml
//	                                      layers[1]  …policy-statement.v1+json, if it is signed
//
// Every part is named by its digest, so whoever knows the digest of the manifest knows all bytes; a
// tag may be moved to another manifest at any time.
const (
	typeConfig    = "application/vnd.wasm.config.v0+json"
	typeModule    = "application/wasm"
	typeTable     = "application/vnd.switchyard.policy.table.v1+toml"
	typeSignature = "application/vnd.switchyard.policy-statement.v1+json"
)

// maxManifest is the size in bytes of the largest manifest.
const maxManifest = 4 << 20

const ociScheme = "oci://"

// reference returns the parts of an address in a registry.
func reference(name string) (registry.Reference, error) {
	return registry.ParseReference(strings.TrimPrefix(name, ociScheme))
}

// An ociSource fetches a policy from a registry.
type ociSource struct {
	repository *remote.Repository
	name       string
	options    Options
}

// newRepository returns a repository that uses the client, whose transport is a guard.
func newRepository(client *http.Client, name string) (*remote.Repository, error) {
	ref, err := reference(name)
	if err != nil {
		return nil, err
	}
	g := client.Transport.(*guard)
	// The registry answers a first request with a challenge, and its client asks here for credentials
	// of the host that is to get them.
	credential := func(_ context.Context, host string) (auth.Credential, error) {
		l := g.logins[strings.ToLower(host)]
		return auth.Credential{Username: l.user, Password: l.password}, nil
	}
	return &remote.Repository{
		Client:             &auth.Client{Client: client, Credential: credential, Cache: auth.NewCache(), Header: http.Header{"User-Agent": {userAgent}}},
		Reference:          ref,
		PlainHTTP:          g.source.Scheme == "http",
		ManifestMediaTypes: []string{ocispec.MediaTypeImageManifest},
		MaxMetadataBytes:   maxManifest,
	}, nil
}

// fetch returns what the address has now; before is what was fetched last, or nil. A tag is
// resolved to the digest of its manifest first: while that is the same, nothing is downloaded.
// Every layer is verified against its digest.
func (s *ociSource) fetch(ctx context.Context, before *Content) (*Content, error) {
	manifest, err := s.repository.Manifests().Resolve(ctx, s.repository.Reference.Reference)
	if err != nil {
		return nil, explained(err)
	}
	if before != nil && before.version == manifest.Digest.String() {
		return before, nil
	}
	policy, signature, err := s.layers(ctx, manifest)
	if err != nil {
		return nil, explained(err)
	}
	c := &Content{version: manifest.Digest.String()}
	file, err := s.blob(ctx, policy, s.options.Max)
	if err != nil {
		return nil, explained(err)
	}
	// Other readers of the registry go by the type of the layer, so it must not contradict the content.
	if isModule := bytes.HasPrefix(file, []byte("\x00asm")); isModule != (policy.MediaType == typeModule) {
		return nil, fmt.Errorf("the layer of type %q is not what its type says", policy.MediaType)
	}
	c.File = source.Remote(s.name, file)
	c.File.Revision = c.version
	if signature != nil {
		if c.Signature, err = s.blob(ctx, *signature, maxSignature); err != nil {
			return nil, fmt.Errorf("its signature: %w", explained(err))
		}
	}
	return c, nil
}

// layers returns the layers of a manifest that hold the policy and its signature; the latter
// may be nil.
func (s *ociSource) layers(ctx context.Context, d ocispec.Descriptor) (policy ocispec.Descriptor, signature *ocispec.Descriptor, err error) {
	if d.MediaType != ocispec.MediaTypeImageManifest {
		return policy, nil, fmt.Errorf("it is of type %q, and no image manifest", d.MediaType)
	}
	if d.Size > maxManifest {
		return policy, nil, fmt.Errorf("its manifest has %d bytes, at most %d are read", d.Size, maxManifest)
	}
	text, err := content.FetchAll(ctx, s.repository.Manifests(), d)
	if err != nil {
		return policy, nil, fmt.Errorf("its manifest: %w", err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return policy, nil, fmt.Errorf("its manifest: %w", err)
	}
	policies := ofType(m.Layers, typeModule, typeTable)
	signatures := ofType(m.Layers, typeSignature)
	if len(policies) != 1 || len(signatures) > 1 {
		return policy, nil, &remedied{fmt.Errorf("its manifest has %d layers with a policy and %d with a signature, among %d of the types %.200q", len(policies), len(signatures), len(m.Layers), typesOf(m.Layers)),
			"push one policy, as 'switchyard policy push' does"}
	}
	if len(signatures) == 1 {
		signature = &signatures[0]
	}
	return policies[0], signature, nil
}

// ofType returns the layers that have one of the media types.
func ofType(layers []ocispec.Descriptor, types ...string) []ocispec.Descriptor {
	return slices.DeleteFunc(slices.Clone(layers), func(l ocispec.Descriptor) bool { return !slices.Contains(types, l.MediaType) })
}

// typesOf lists the media types of layers, each once, for an error.
func typesOf(layers []ocispec.Descriptor) string {
	var types []string
	for _, l := range layers {
		types = append(types, l.MediaType)
	}
	slices.Sort(types)
	return strings.Join(slices.Compact(types), ", ")
}

// blob fetches a blob of at most max bytes and verifies its size and digest.
func (s *ociSource) blob(ctx context.Context, d ocispec.Descriptor, max int64) ([]byte, error) {
	if d.Size > max {
		return nil, tooLarge(max)
	}
	return content.FetchAll(ctx, s.repository.Blobs(), d)
}

// explained adds the remedy to a registry's error about credentials.
func explained(err error) error {
	e, ok := errors.AsType[*errcode.ErrorResponse](err)
	denied := ok && (e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden)
	if denied || errors.Is(err, auth.ErrBasicCredentialNotFound) {
		return &remedied{err, remedyLogin}
	}
	return err
}

// Push stores a policy with its signature, which may be nil, in a registry, and returns the digest
// of its manifest. name is an address that may end in a tag.
func Push(ctx context.Context, name string, f source.File, signature []byte, o Options) (digest string, err error) {
	client, err := newClient(name, o)
	if err != nil {
		return "", err
	}
	defer client.CloseIdleConnections()
	repository, err := newRepository(client, name)
	if err != nil {
		return "", err
	}
	digest, err = push(ctx, repository, f, signature)
	if e, ok := errors.AsType[*remedied](explained(err)); ok {
		return "", fmt.Errorf("%w; %s", redact(e), e.remedy)
	}
	return digest, redact(err)
}

// push stores the layers first and the manifest last, so that a tag never names a manifest whose
// layers are missing.
func push(ctx context.Context, r *remote.Repository, f source.File, signature []byte) (string, error) {
	layer := typeTable
	if bytes.HasPrefix(f.Bytes, []byte("\x00asm")) {
		layer = typeModule
	}
	blobs := [][]byte{f.Bytes}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Layers: []ocispec.Descriptor{content.NewDescriptorFromBytes(layer, f.Bytes)}}
	if signature != nil {
		blobs = append(blobs, signature)
		m.Layers = append(m.Layers, content.NewDescriptorFromBytes(typeSignature, signature))
	}
	config, err := json.Marshal(map[string]any{"architecture": "wasm", "os": "wasip1", "layerDigests": digestsOf(m.Layers)})
	if err != nil {
		return "", err
	}
	m.Config = content.NewDescriptorFromBytes(typeConfig, config)
	// blobs are in the order of the layers; the config comes behind them.
	for i, d := range append(slices.Clone(m.Layers), m.Config) {
		if err := r.Blobs().Push(ctx, d, bytes.NewReader(append(blobs, config)[i])); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	d := content.NewDescriptorFromBytes(m.MediaType, text)
	// Without a tag the manifest can only be fetched by its digest, which the caller prints.
	if tag := r.Reference.Reference; tag != "" {
		err = r.PushReference(ctx, d, bytes.NewReader(text), tag)
	} else {
		err = r.Manifests().Push(ctx, d, bytes.NewReader(text))
	}
	return d.Digest.String(), err
}

// digestsOf returns the digests of layers, which the configuration of an image lists.
func digestsOf(layers []ocispec.Descriptor) (all []string) {
	for _, l := range layers {
		all = append(all, l.Digest.String())
	}
	return all
}
