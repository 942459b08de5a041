package remote

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// A login holds the credentials for one host.
type login struct{ user, password string }

// logins holds credentials by host, including the port if it is not the default one.
type logins map[string]login

// readAuth reads a file in docker's format. It uses only "auths": it runs no credential
// helper.
//
//	{"auths": {"registry.example.org": {"auth": "dXNlcjpwYXNzd29yZA=="}}}
//
// Errors never quote the file, because it contains secrets.
func readAuth(path string) (logins, error) {
	if path == "" {
		return nil, nil
	}
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	var file struct {
		Auths map[string]struct {
			Auth, Username, Password string
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf(`%s is not JSON such as {"auths": {"HOST": {"auth": "…"}}}`, path)
	}
	all := make(logins)
	for host, entry := range file.Auths {
		l := login{entry.Username, entry.Password}
		if entry.Auth != "" {
			plain, err := base64.StdEncoding.DecodeString(entry.Auth)
			user, password, ok := strings.Cut(string(plain), ":")
			if err != nil || !ok {
				return nil, fmt.Errorf("%s: an auth is not USER:PASSWORD in base64", path)
			}
			l = login{user, password}
		}
		if l != (login{}) {
			all[hostOf(host)] = l
		}
	}
	return all, nil
}

// hostOf returns the host of an entry, which may be written as a URL.
func hostOf(entry string) string {
	if _, rest, ok := strings.Cut(entry, "://"); ok {
		entry = rest
	}
	host, _, _ := strings.Cut(strings.ToLower(entry), "/")
	if host == "docker.io" || host == "index.docker.io" { // as docker login writes it
		return "registry-1.docker.io"
	}
	return host
}
