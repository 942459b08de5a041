package remote

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"switchyard/plugins/source"
)

// A registry in memory, on the loopback and so without TLS. It demands a token if it has one.
type registryServer struct {
	*httptest.Server
	mu     sync.Mutex // guards what follows
	blobs  map[string][]byte
	tags   map[string]string // digest by tag
	token  string
	login  string                                            // USER:PASSWORD that the token costs
	change func(w http.ResponseWriter, r *http.Request) bool // answers instead, if it returns true
}

func serveRegistry(t *testing.T) *registryServer {
	r := &registryServer{blobs: make(map[string][]byte), tags: make(map[string]string)}
	r.Server = httptest.NewServer(http.HandlerFunc(r.answer))
	t.Cleanup(r.Close)
	return r
}

func (s *registryServer) host() string { return strings.TrimPrefix(s.URL, "http://") }

func digestOf(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

func (s *registryServer) answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.change != nil && s.change(w, r) {
		return
	}
	last := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	switch {
	case r.URL.Path == "/token":
		user, password, _ := r.BasicAuth()
		if user+":"+password != s.login {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"token": %q}`, s.token)
	case s.token != "" && r.Header.Get("Authorization") != "Bearer "+s.token:
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="test"`, s.URL))
		w.WriteHeader(http.StatusUnauthorized)
	case r.Method == http.MethodPost:
		w.Header().Set("Location", r.URL.Path+"upload")
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodPut:
		content, _ := io.ReadAll(r.Body)
		s.blobs[digestOf(content)] = content
		if strings.Contains(r.URL.Path, "/manifests/") {
			s.tags[last] = digestOf(content)
		}
		w.Header().Set("Docker-Content-Digest", digestOf(content))
		w.WriteHeader(http.StatusCreated)
	default:
		s.get(w, r, last)
	}
}

// get answers with a blob or a manifest, by digest or tag.
func (s *registryServer) get(w http.ResponseWriter, r *http.Request, name string) {
	if digest, ok := s.tags[name]; ok {
		name = digest
	}
	content, ok := s.blobs[name]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if strings.Contains(r.URL.Path, "/manifests/") {
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
	}
	w.Header().Set("Docker-Content-Digest", name)
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	if r.Method != http.MethodHead {
		w.Write(content)
	}
}

// put stores layers by type, and a manifest of them with the tag v1.
func (s *registryServer) put(layers ...[2]string) {
	m := map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": descriptor(typeConfig, "{}")}
	var list []any
	for _, l := range layers {
		s.blobs[digestOf([]byte(l[1]))] = []byte(l[1])
		list = append(list, descriptor(l[0], l[1]))
	}
	m["layers"] = list
	text, _ := json.Marshal(m)
	s.blobs[digestOf(text)] = text
	s.tags["v1"] = digestOf(text)
}

func descriptor(kind, content string) map[string]any {
	return map[string]any{"mediaType": kind, "digest": digestOf([]byte(content)), "size": len(content)}
}

func (s *registryServer) fetch(t *testing.T, ref string, o Options) (Content, error) {
	t.Helper()
	o.Max = 1000
	return Fetch(t.Context(), "oci://"+s.host()+"/acme/routes"+ref, o)
}

// What is pushed is fetched, with its signature, by tag and by digest, and with credentials.
func TestPushAndFetch(t *testing.T) {
	t.Parallel()
	s := serveRegistry(t)
	s.token, s.login = "KxQz", "u:p"
	o := Options{Auth: save(t, "auth.json", fmt.Appendf(nil, `{"auths": {%q: {"username": "u", "password": "p"}}}`, s.host()))}
	for content, path := range map[string]string{table: "routes.toml", "\x00asm\x01": "routes.wasm"} {
		digest, err := Push(t.Context(), "oci://"+s.host()+"/acme/routes:v1", source.File{Name: "file:" + path, Path: path, Bytes: []byte(content)}, []byte("signed"), o)
		if err != nil || s.tags["v1"] != digest {
			t.Fatalf("pushed %s, %v; the tag is %s", digest, err, s.tags["v1"])
		}
		for _, ref := range []string{":v1", "@" + digest} {
			c, err := s.fetch(t, ref, o)
			if err != nil || string(c.File.Bytes) != content || c.File.Path != path || string(c.Signature) != "signed" || c.File.Revision != digest {
				t.Errorf("%s: %+v, %v", ref, c, err)
			}
		}
	}
	bare, err := Push(t.Context(), "oci://"+s.host()+"/acme/routes", source.File{Bytes: []byte(table)}, nil, o)
	if c, fetched := s.fetch(t, "@"+bare, o); err != nil || fetched != nil || c.Signature != nil {
		t.Errorf("without a tag and a signature: %s, %v, %v", bare, err, fetched)
	}
	if _, err := s.fetch(t, ":v1", Options{}); err == nil || !strings.Contains(err.Error(), "registry.auth") {
		t.Errorf("without credentials: %v", err)
	}
	if _, err := Push(t.Context(), "oci://"+s.host()+"/acme/routes:v1", source.File{Bytes: []byte(table)}, nil, Options{}); err == nil || !strings.Contains(err.Error(), "registry.auth") {
		t.Errorf("pushed without credentials: %v", err)
	}
}

func TestForeignLayersAreIgnored(t *testing.T) {
	t.Parallel()
	s := serveRegistry(t)
	s.put([2]string{"application/vnd.oci.image.layer.nondistributable.v1.tar", "KxQz"}, [2]string{typeTable, table}, [2]string{"text/plain", "read me"})
	if c, err := s.fetch(t, ":v1", Options{}); err != nil || string(c.File.Bytes) != table || c.Signature != nil {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestHostileRegistries(t *testing.T) {
	t.Parallel()
	policy := [2]string{typeTable, table}
	blob := digestOf([]byte(table))
	for name, c := range map[string]struct {
		layers [][2]string
		change func(s *registryServer, w http.ResponseWriter, r *http.Request) bool
		want   string
	}{
		"no policy":       {[][2]string{{"text/plain", "a"}}, nil, `0 layers with a policy and 0 with a signature, among 1 of the types "text/plain"; push one policy`},
		"two policies":    {[][2]string{policy, {typeModule, "\x00asm"}}, nil, "2 layers with a policy"},
		"two signatures":  {[][2]string{policy, {typeSignature, "a"}, {typeSignature, "b"}}, nil, "2 with a signature"},
		"false type":      {[][2]string{{typeModule, table}}, nil, `the layer of type "application/wasm" is not what its type says`},
		"too large":       {[][2]string{{typeTable, strings.Repeat("#", 1001)}}, nil, "larger than 1000 bytes; raise wasm.module_size"},
		"large signature": {[][2]string{policy, {typeSignature, strings.Repeat("#", maxSignature+1)}}, nil, "its signature: it is larger"},
		"wrong digest": {[][2]string{policy}, func(s *registryServer, _ http.ResponseWriter, _ *http.Request) bool {
			s.blobs[blob] = []byte(strings.ToUpper(table))
			return false
		}, "mismatched digest"},
		"endless blob": {[][2]string{policy}, func(_ *registryServer, w http.ResponseWriter, r *http.Request) bool {
			for strings.HasSuffix(r.URL.Path, blob) {
				if _, err := io.WriteString(w, table); err != nil {
					return true
				}
			}
			return false
		}, "trailing data"},
		"large manifest": {[][2]string{policy}, func(_ *registryServer, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Header().Set("Docker-Content-Digest", blob)
			w.Header().Set("Content-Length", fmt.Sprint(maxManifest+1))
			return r.Method == http.MethodHead
		}, "its manifest has 4194305 bytes, at most 4194304 are read"},
		"an index": {[][2]string{policy}, func(_ *registryServer, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
			w.Header().Set("Docker-Content-Digest", blob)
			w.Header().Set("Content-Length", "5")
			return r.Method == http.MethodHead
		}, "and no image manifest"},
		"missing": {nil, func(_ *registryServer, w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(404); return true }, "not found"},
		"busy":    {nil, func(_ *registryServer, w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(429); return true }, "429 Too Many Requests"},
		"denied":  {nil, func(_ *registryServer, w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(403); return true }, "registry.auth"},
		"token elsewhere": {nil, func(_ *registryServer, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://example.org/token"`)
			w.WriteHeader(401)
			return true
		}, "example.org"},
		"blob in plain text elsewhere": {[][2]string{policy}, func(_ *registryServer, w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, blob) {
				return false
			}
			http.Redirect(w, r, "http://example.org/blob?key=KxQz", http.StatusTemporaryRedirect)
			return true
		}, `it leads to "http://example.org", which is not encrypted`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveRegistry(t)
			s.put(c.layers...)
			if c.change != nil {
				s.change = func(w http.ResponseWriter, r *http.Request) bool { return c.change(s, w, r) }
			}
			if _, err := s.fetch(t, ":v1", Options{}); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "KxQz") {
				t.Errorf("got %v; want %q", err, c.want)
			}
		})
	}
}

// A moved tag is noticed; while it stays, only its digest is asked for.
func TestFollowTag(t *testing.T) {
	t.Parallel()
	s, f := serveRegistry(t), newFollowed(t, time.Hour)
	asked := make(map[string]int)
	s.change = func(_ http.ResponseWriter, r *http.Request) bool { asked[r.Method]++; return false }
	counts := func() map[string]int { s.mu.Lock(); defer s.mu.Unlock(); return maps.Clone(asked) }
	name := "oci://" + s.host() + "/acme/routes:v1"
	s.put([2]string{typeTable, table})
	f.Set(Options{Poll: time.Millisecond, Max: 1000}, []string{name})
	f.wantChange()
	f.wait("further questions", func() bool { return counts()[http.MethodHead] >= 4 })
	if n := counts()[http.MethodGet]; n != 2 {
		t.Errorf("%d files were got, want a manifest and a layer", n)
	}
	s.mu.Lock()
	s.put([2]string{typeTable, "# moved\n" + table})
	s.mu.Unlock()
	f.wantChange()
	if c, err := f.Content(name); err != nil || string(c.File.Bytes) != "# moved\n"+table {
		t.Errorf("got %q, %v", c.File.Bytes, err)
	}
}
