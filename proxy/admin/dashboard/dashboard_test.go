package dashboard

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

func answer(t *testing.T, method, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w
}

// paths are all that is served.
func paths(t *testing.T) []string {
	t.Helper()
	names := []string{"/"}
	entries, err := fs.ReadDir(files, "assets")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, "/assets/"+e.Name())
	}
	return names
}

func TestServesEachFile(t *testing.T) {
	types := map[string]string{"": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	for _, name := range paths(t) {
		w := answer(t, "GET", name)
		if w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("GET %s: status %d, %d bytes", name, w.Code, w.Body.Len())
		}
		if got, want := w.Header().Get("Content-Type"), types[path.Ext(name)]; got != want || want == "" {
			t.Errorf("GET %s: Content-Type %q, want %q", name, got, want)
		}
		head := answer(t, "HEAD", name)
		if head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("ETag") != w.Header().Get("ETag") {
			t.Errorf("HEAD %s: status %d, %d bytes, ETag %q", name, head.Code, head.Body.Len(), head.Header().Get("ETag"))
		}
		etag := w.Header().Get("ETag")
		again := answer(t, "GET", name, "If-None-Match", etag)
		if again.Code != http.StatusNotModified || again.Body.Len() != 0 || etag == "" {
			t.Errorf("GET %s again with ETag %q: status %d, %d bytes", name, etag, again.Code, again.Body.Len())
		}
		if changed := answer(t, "GET", name, "If-None-Match", `"other"`); changed.Code != http.StatusOK {
			t.Errorf("GET %s with another ETag: status %d", name, changed.Code)
		}
	}
}

func TestETagsTellFilesApart(t *testing.T) {
	seen := map[string]string{}
	for _, name := range paths(t) {
		etag := answer(t, "GET", name).Header().Get("ETag")
		if other := seen[etag]; other != "" {
			t.Errorf("%s and %s have the same ETag", name, other)
		}
		seen[etag] = name
	}
}

// The headers hold for refusals as well: a browser shows those too.
func TestHeaders(t *testing.T) {
	for _, target := range []string{"/", "/assets/app.js", "/assets/none.js"} {
		h := answer(t, "GET", target).Header()
		policy := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'self';", "frame-ancestors 'none';", "base-uri 'none';", "form-action 'none';", "require-trusted-types-for 'script';"} {
			if !strings.Contains(policy+";", want) {
				t.Errorf("GET %s: Content-Security-Policy %q has no %s", target, policy, want)
			}
		}
		for _, loose := range []string{"unsafe", "http:", "https:", "*", "data:"} {
			if strings.Contains(policy, loose) {
				t.Errorf("GET %s: Content-Security-Policy %q has %s", target, policy, loose)
			}
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-cache"} {
			if got := h.Get(name); got != want {
				t.Errorf("GET %s: %s %q, want %q", target, name, got, want)
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct {
		method, target string
		want           int
	}{
		{"POST", "/", http.StatusMethodNotAllowed},
		{"DELETE", "/assets/app.js", http.StatusMethodNotAllowed},
		{"GET", "/assets/", http.StatusNotFound},
		{"GET", "/assets/none.js", http.StatusNotFound},
		{"GET", "/index.html", http.StatusNotFound},
		{"GET", "/dashboard.go", http.StatusNotFound},
		{"GET", "/assets/../dashboard.go", http.StatusNotFound},
		{"GET", "/assets/%2e%2e/dashboard.go", http.StatusNotFound},
	} {
		w := answer(t, c.method, c.target)
		if w.Code != c.want {
			t.Errorf("%s %s: status %d, want %d", c.method, c.target, w.Code, c.want)
		}
		if c.want == http.StatusMethodNotAllowed && w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s: Allow %q", c.method, c.target, w.Header().Get("Allow"))
		}
	}
}

// forbidden is what makes markup or code of text, reaches beyond the server, or is
// refused by the page's own policy.
var forbidden = []struct{ pattern, because string }{
	{`(?i)innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|createContextualFragment|setHTML`, "text of the server could become markup; use text.js"},
	{`\beval\b|new Function|setTimeout\(\s*['"` + "`]", "text could become code"},
	{`(?i)\bon(click|load|error|input|submit|change)\s*=`, "handlers are added by addEventListener"},
	{`(?i)\sstyle\s*=`, "the policy of the page refuses styles in attributes"},
	{`localStorage|document\.cookie|indexedDB`, "nothing is kept longer than the tab"},
	{`https?://`, "the page is whole without anything from elsewhere"},
	{`(?i)<script(?:\s+type="module")?\s*>|<style`, "the policy of the page refuses scripts and styles within it"},
}

func TestSourceHasNothingForbidden(t *testing.T) {
	// Names that are not addresses.
	known := strings.NewReplacer("http://www.w3.org/2000/svg", "")
	for _, name := range paths(t) {
		text := known.Replace(answer(t, "GET", name).Body.String())
		for _, f := range forbidden {
			if found := regexp.MustCompile(f.pattern).FindString(text); found != "" {
				t.Errorf("%s has %q: %s", name, found, f.because)
			}
		}
	}
}

var (
	reference = regexp.MustCompile(`(?:href|src)="(/[^"]*)"|from '\./([^']+)'`)
	element   = regexp.MustCompile(`\sid="([^"]+)"`)
	looked    = regexp.MustCompile(`(?:getElementById|\b(?:byId))\('([a-z-]+)'\)`)
)

// Each file is needed by another, and each that is needed is there.
func TestReferences(t *testing.T) {
	all := map[string]bool{}
	for _, name := range paths(t) {
		all[name] = name == "/"
	}
	for _, name := range paths(t) {
		for _, m := range reference.FindAllStringSubmatch(answer(t, "GET", name).Body.String(), -1) {
			target := m[1]
			if target == "" {
				target = "/assets/" + m[2]
			}
			if _, ok := all[target]; !ok {
				t.Errorf("%s needs %s, which is not served", name, target)
			}
			all[target] = true
		}
	}
	for name, needed := range all {
		if !needed {
			t.Errorf("nothing needs %s", name)
		}
	}
}

// What the scripts look up by id is in the page, once.
func TestIds(t *testing.T) {
	ids := map[string]int{}
	for _, m := range element.FindAllStringSubmatch(answer(t, "GET", "/").Body.String(), -1) {
		ids[m[1]]++
		if ids[m[1]] == 2 {
			t.Errorf("id %s is there twice", m[1])
		}
	}
	lookups := 0
	for _, name := range paths(t) {
		// Two boxes put their name before the ids of their parts.
		prefix := map[string]string{"/assets/evaluate.js": "evaluate-", "/assets/compare.js": "compare-"}[name]
		for _, m := range looked.FindAllStringSubmatch(answer(t, "GET", name).Body.String(), -1) {
			id := m[1]
			if strings.HasPrefix(m[0], "byId") {
				id = prefix + id
			}
			lookups++
			if ids[id] == 0 {
				t.Errorf("%s looks up %s, which is not in the page", name, id)
			}
		}
	}
	if lookups < 40 {
		t.Errorf("only %d ids are looked up; has the way to do it changed?", lookups)
	}
}

// longest is the number of lines up to which a file still has one subject.
const longest = 400

func TestFilesAreShort(t *testing.T) {
	for _, name := range paths(t) {
		if lines := bytes.Count(answer(t, "GET", name).Body.Bytes(), []byte("\n")); lines > longest {
			t.Errorf("%s has %d lines, want at most %d", name, lines, longest)
		}
	}
}
