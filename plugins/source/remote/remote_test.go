package remote

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"switchyard/plugins/source"
	"switchyard/policy/wasm"
)

const table = "[route]\nelse = \"drop\"\n"

// Parallel tests wait for files and sockets, not for a core.
func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "16")
	os.Exit(m.Run())
}

// A host serves policies over HTTPS. Options trust it.
type host struct {
	*httptest.Server
	options Options
}

func serve(t *testing.T, handler http.HandlerFunc) host {
	t.Helper()
	h := host{Server: httptest.NewUnstartedServer(handler), options: Options{Poll: 1, Max: 1000}}
	h.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that clients end
	h.StartTLS()
	t.Cleanup(h.Close)
	h.options.CA = save(t, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw}))
	return h
}

func save(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (h host) fetch(t *testing.T, file string) (Content, error) {
	t.Helper()
	return Fetch(t.Context(), h.URL+file, h.options)
}

func TestFetch(t *testing.T) {
	t.Parallel()
	files := map[string]string{"/a/routes.toml": table, "/routes": table, "/p": "\x00asm\x01", "/a/routes.toml.sig": "signed"}
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		text, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
		}
		io.WriteString(w, text)
	})
	for file, path := range map[string]string{"/a/routes.toml": "routes.toml", "/routes": "routes.toml", "/p?download=1": "p.wasm"} {
		h.options.Signed = false
		c, err := h.fetch(t, file)
		if err != nil || c.File.Name != h.URL+file || c.File.Path != path || c.Signature != nil || !strings.HasPrefix(files["/"+strings.Trim(strings.Split(file, "?")[0], "/")], string(c.File.Bytes)) {
			t.Errorf("%s: %+v, %v", file, c, err)
		}
	}
	h.options.Signed = true
	for file, want := range map[string]string{"/a/routes.toml": "signed", "/a/routes.toml?x=y": "signed", "/routes": ""} {
		if c, err := h.fetch(t, file); err != nil || string(c.Signature) != want {
			t.Errorf("%s: signature %q, %v; want %q", file, c.Signature, err, want)
		}
	}
}

// Whatever a web server answers, the policy is refused at the fetch gate, with a remedy.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, table) }))
	t.Cleanup(plain.Close)
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	endless := func(w http.ResponseWriter, _ *http.Request) {
		for block := bytes.Repeat([]byte("#"), 512); ; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"missing":         {status(404), `the answer is "404 Not Found"`},
		"unauthorized":    {status(401), `"401 Unauthorized"; put user and password for that host into the file registry.auth`},
		"forbidden":       {status(403), "registry.auth"},
		"broken":          {status(500), `"500 Internal`},
		"busy":            {status(429), `"429 Too Many Requests"`},
		"empty":           {status(204), `"204 No Content"`},
		"nothing changed": {status(304), "nothing was there before"},
		"too large":       {func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 1001)) }, "larger than 1000 bytes; raise wasm.module_size"},
		"endless":         {endless, "larger than 1000 bytes"},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			io.WriteString(w, "short")
		}, "unexpected EOF"},
		"endless headers": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 100<<10)) }, "server response headers exceeded"},
		"to plain HTTP":   {http.RedirectHandler("http://example.org/routes.toml?key=KxQz", http.StatusFound).ServeHTTP, `it leads to "http://example.org", which is not encrypted; serve it by https`},
		"to loopback":     {http.RedirectHandler(plain.URL+"/routes.toml", http.StatusFound).ServeHTTP, "which is not encrypted"},
		"to a file":       {http.RedirectHandler("file:///etc/passwd", http.StatusFound).ServeHTTP, "which is not encrypted"},
		"round and round": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again?key=KxQz", http.StatusFound) }, "stopped after 10 redirects"},
		"harmful": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://\u202e.example/", http.StatusFound)
		}, "not encrypted"},
		"hostile location": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "://?KxQz")
			w.WriteHeader(http.StatusFound)
		}, "Location"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := serve(t, c.handler)
			_, err := h.fetch(t, "/routes.toml")
			gate, ok := errors.AsType[*wasm.GateError](err)
			if !ok || gate.Gate != source.GateFetch || gate.Remedy == "" || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "KxQz") || strings.Contains(err.Error(), "\u202e") {
				t.Errorf("got %v; want %q", err, c.want)
			}
			if _, busy := errors.AsType[*busyError](err); busy != (name == "busy") {
				t.Errorf("%v: busy %v", err, busy)
			}
		})
	}
}

// A signature file is bounded, too, and its faults are told from those of the policy.
func TestHostileSignatures(t *testing.T) {
	t.Parallel()
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large.toml.sig":
			w.Write(make([]byte, maxSignature+1))
		case "/broken.toml.sig":
			w.WriteHeader(500)
		default:
			io.WriteString(w, table)
		}
	})
	h.options.Signed = true
	for file, want := range map[string]string{"/large.toml": "its signature file: it is larger than 65536 bytes", "/broken.toml": `its signature file: the answer is "500`} {
		if _, err := h.fetch(t, file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", file, err, want)
		}
	}
}

func TestSlowServer(t *testing.T) {
	t.Parallel()
	asked, returned := make(chan struct{}), make(chan struct{})
	h := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "[")
		w.(http.Flusher).Flush()
		close(asked)
		<-returned // so the answer does not end by itself
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := Fetch(ctx, h.URL+"/a.toml", h.options); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(returned)
}

// Certificates are checked, by the system's CAs and those of registry.ca.
func TestUntrustedServers(t *testing.T) {
	t.Parallel()
	h := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, table) })
	for ca, want := range map[string]string{
		"":                                     "certificate",
		filepath.Join(t.TempDir(), "none.pem"): "registry.ca: ",
		save(t, "empty.pem", []byte("nothing\n")):   "there is no certificate in PEM",
		save(t, "large.pem", make([]byte, 2<<20)):   "too large",
		save(t, "broken.pem", []byte("-----BEGIN")): "there is no certificate in PEM",
	} {
		h.options.CA = ca
		if _, err := h.fetch(t, "/a.toml"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q: %v; want %q", ca, err, want)
		}
	}
}

// Each host gets its own credentials, and none gets those of another, wherever it redirects to.
func TestCredentials(t *testing.T) {
	t.Parallel()
	saw := make(chan string, 2)
	see := func(name string, r *http.Request) {
		user, password, _ := r.BasicAuth()
		saw <- fmt.Sprintf("%s %s:%s", name, user, password)
	}
	to := serve(t, func(w http.ResponseWriter, r *http.Request) {
		see("to", r)
		io.WriteString(w, table)
	})
	from := serve(t, func(w http.ResponseWriter, r *http.Request) {
		see("from", r)
		http.Redirect(w, r, to.URL+"/routes.toml", http.StatusFound)
	})
	hostFrom, hostTo := strings.TrimPrefix(from.URL, "https://"), strings.TrimPrefix(to.URL, "https://")
	for _, c := range []struct{ auths, from, to string }{
		{`{}`, "from :", "to :"},
		{fmt.Sprintf(`{"auths": {%q: {"auth": "dTpwOnE="}}, "credsStore": "none", "credHelpers": {%q: "none"}}`, hostFrom, hostTo), "from u:p:q", "to :"},
		{fmt.Sprintf(`{"auths": {"https://%s/v1/": {"username": "a", "password": "b"}, %q: {"auth": "dTpwOnE="}}}`, hostFrom, hostTo), "from a:b", "to u:p:q"},
	} {
		from.options.Auth = save(t, "auth.json", []byte(c.auths))
		from.options.CA = save(t, "ca.pem", append(read(t, from.options.CA), read(t, to.options.CA)...))
		if _, err := from.fetch(t, "/a.toml"); err != nil {
			t.Fatal(err)
		}
		if first, second := <-saw, <-saw; first != c.from || second != c.to {
			t.Errorf("with %s: %q, %q; want %q, %q", c.auths, first, second, c.from, c.to)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// No error quotes the file of credentials.
func TestBadCredentialFiles(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"KxQz", `{"auths": "KxQz"}`, `{"auths": {"h": {"auth": "KxQz"}}}`, `{"auths": {"h": {"auth": "S3hReg=="}}}`, `{"auths": {"h": {"auth": "!"}}}`} {
		_, err := Fetch(t.Context(), "https://127.0.0.1:1/a.toml", Options{Auth: save(t, "auth.json", []byte(text)), Max: 1})
		if err == nil || !strings.Contains(err.Error(), "registry.auth: ") || strings.Contains(err.Error(), "KxQz") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A policy by https is never fetched in plain text, and one by http only within the machine.
func TestPlainText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source, asked string
		want          bool
	}{
		{"https://127.0.0.1/a", "http://127.0.0.1/a", false},
		{"http://127.0.0.1:5000/a", "http://127.0.0.1:5000/b", true},
		{"http://localhost/a", "http://[::1]/b", true},
		{"http://127.0.0.1/a", "http://example.org/a", false},
		{"http://example.org/a", "http://example.org/a", false},
		{"http://example.org/a", "http://127.0.0.1/a", false},
		{"http://127.0.0.1/a", "ftp://127.0.0.1/a", false},
	} {
		from, err := url.Parse(c.source)
		if err != nil {
			t.Fatal(err)
		}
		to, err := url.Parse(c.asked)
		if err != nil {
			t.Fatal(err)
		}
		if got := (&guard{source: from}).mayBePlain(to); got != c.want {
			t.Errorf("from %s to %s: %v, want %v", c.source, c.asked, got, c.want)
		}
	}
}
