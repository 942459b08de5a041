// Package dashboard is the page that shows operators what happens. It hands out the
// page's files and nothing else: what the page shows, it asks of the admin API.
//
// The files are written as they are served: no build step, and nothing from elsewhere.
// assets/app.js says what is in which.
package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed index.html assets/*.css assets/*.js assets/*.svg
var files embed.FS

// contentTypes are by the ends of names, so that they do not depend on what the
// machine knows of types.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// headers go with every answer. The page runs its own files alone, and text cannot
// become markup: browsers that know trusted types refuse to try.
var headers = map[string]string{
	"Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; " +
		"require-trusted-types-for 'script'; trusted-types 'none'",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "no-referrer",
	"X-Content-Type-Options":       "nosniff",
	// A browser asks each time and is told that nothing changed, so that the files it
	// has are always of one version.
	"Cache-Control": "no-cache",
}

// A file is one of the page's.
type file struct {
	content     []byte
	contentType string
	etag        string
}

// Handler answers GET and HEAD of / with the page and of /assets/NAME with what it
// needs. It holds no data of the server, so it needs no token.
func Handler() http.Handler {
	served := map[string]file{"/": load("index.html")}
	assets, err := fs.ReadDir(files, "assets")
	if err != nil {
		panic(err) // the compiler has put it there
	}
	for _, entry := range assets {
		name := path.Join("assets", entry.Name())
		served["/"+name] = load(name)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		f, ok := served[r.URL.Path]
		switch {
		case !ok:
			http.NotFound(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the page is only read; use GET", http.StatusMethodNotAllowed)
		default:
			w.Header().Set("Content-Type", f.contentType)
			w.Header().Set("ETag", f.etag)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
		}
	})
}

func load(name string) file {
	content, err := files.ReadFile(name)
	if err != nil {
		panic(err) // the compiler has put it there
	}
	sum := sha256.Sum256(content)
	return file{content: content, contentType: contentTypes[path.Ext(name)], etag: `"` + hex.EncodeToString(sum[:16]) + `"`}
}
