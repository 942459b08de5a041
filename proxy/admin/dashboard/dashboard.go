// Package dashboard is the web page for operators. It serves the files of the page and
// nothing else: the page gets its data from the admin API.
//
// The files are served as they are written, without a build step or code of others.
// assets/app.js lists them.
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

// contentTypes are by file extension, so that they do not depend on the machine.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// headers are part of every answer. The page runs only its own files, and text cannot become
// markup: browsers with trusted types enforce that.
var headers = map[string]string{
	"Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; " +
		"require-trusted-types-for 'script'; trusted-types 'none'",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "no-referrer",
	"X-Content-Type-Options":       "nosniff",
	// A browser revalidates each time, so that all its files are of one version.
	"Cache-Control": "no-cache",
}

// A file is one file of the page.
type file struct {
	content     []byte
	contentType string
	etag        string
}

// Handler answers GET and HEAD of / with the page, and of /assets/NAME with its other files.
// They hold no data of the server, so no token is needed.
func Handler() http.Handler {
	served := map[string]file{"/": load("index.html")}
	assets, err := fs.ReadDir(files, "assets")
	if err != nil {
		panic(err) // the file is embedded
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

// load reads an embedded file. Its tag is a hash of the content, so a browser that has the file of this
// version is only told so.
func load(name string) file {
	content, err := files.ReadFile(name)
	if err != nil {
		panic(err) // the file is embedded
	}
	sum := sha256.Sum256(content)
	return file{content: content, contentType: contentTypes[path.Ext(name)], etag: `"` + hex.EncodeToString(sum[:16]) + `"`}
}
