package admin

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"switchyard/proxy/admin/api"
	"switchyard/proxy/certificate/authority"
)

const (
	tokenRead    = "read-read-read-read"
	tokenOperate = "operate-operate-operate"
)

// A guarded server has one, the other or both tokens, and a socket.
func startGuarded(t *testing.T, withRead, withOperate bool, change ...func(*fake)) *fixture {
	t.Helper()
	dir := t.TempDir()
	var o Options
	if withRead {
		o.ReadToken = write(t, filepath.Join(dir, "read"), tokenRead+"\n")
	}
	if withOperate {
		o.OperateToken = write(t, filepath.Join(dir, "operate"), tokenOperate)
	}
	changed := func(f *fake) {
		f.drain = time.Second
		for _, c := range change {
			c(f)
		}
	}
	return startAt(t, patient, o, changed, listen(t, "tcp", "127.0.0.1:0"), listen(t, "unix", filepath.Join(dir, "s")))
}

func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// bySocket is a client that asks by the socket.
func (f *fixture) bySocket() *http.Client {
	path := f.Addrs()[1].String()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	f.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// What each token is good for, and what goes without one.
func TestRights(t *testing.T) {
	const bearer = "Authorization: Bearer "
	requests := []string{"GET /livez", "GET /api/v1/tenants", "POST /api/v1/drain"}
	for _, c := range []struct {
		read, operate bool
		socket        bool
		token         string
		want          [3]int
	}{
		{false, false, false, "", [3]int{200, 200, 403}},
		{false, false, false, bearer + tokenRead, [3]int{200, 401, 401}},
		{false, false, true, "", [3]int{200, 200, 202}},
		{false, true, false, "", [3]int{200, 200, 401}},
		{false, true, false, bearer + tokenOperate, [3]int{200, 200, 202}},
		{false, true, false, bearer + tokenRead, [3]int{200, 401, 401}},
		{true, false, false, "", [3]int{200, 401, 403}},
		{true, false, false, bearer + tokenRead, [3]int{200, 200, 403}},
		{true, false, true, "", [3]int{200, 200, 202}},
		{true, true, false, "", [3]int{200, 401, 401}},
		{true, true, false, bearer + tokenRead, [3]int{200, 200, 403}},
		{true, true, false, "authorization: bearer " + tokenRead, [3]int{200, 200, 403}},
		{true, true, false, bearer + tokenOperate, [3]int{200, 200, 202}},
		{true, true, false, bearer + tokenOperate[1:], [3]int{200, 401, 401}},
		{true, true, false, bearer + tokenOperate + "x", [3]int{200, 401, 401}},
		{true, true, false, bearer, [3]int{200, 401, 401}},
		{true, true, false, "Authorization: Basic " + tokenRead, [3]int{200, 401, 401}},
		{true, true, false, "Authorization: " + tokenRead, [3]int{200, 401, 401}},
		{true, true, true, "", [3]int{200, 200, 202}},
		{true, true, true, bearer + "wrong", [3]int{200, 200, 202}},
	} {
		f := startGuarded(t, c.read, c.operate)
		if c.socket {
			f.client = f.bySocket()
		}
		var headers []string
		if c.token != "" {
			headers = append(headers, c.token)
		}
		for i, request := range requests {
			method, path, _ := strings.Cut(request, " ")
			r := f.ask(method, path, headers...)
			text := f.read(r)
			if r.StatusCode != c.want[i] {
				t.Errorf("tokens %t %t, socket %t, %q: %s: %d %q, want %d", c.read, c.operate, c.socket, c.token, request, r.StatusCode, text, c.want[i])
			}
			if r.StatusCode >= 400 {
				errorOf(t, r, text)
			}
			if got := r.Header.Get("WWW-Authenticate"); (got != "") != (r.StatusCode == 401) {
				t.Errorf("%s: %d with WWW-Authenticate %q", request, r.StatusCode, got)
			}
		}
		lines, _ := f.options.Lines.after(0)
		for _, l := range lines {
			if text := l.Message + string(l.Attributes); strings.Contains(text, "read-read") || strings.Contains(text, "operate-operate") {
				t.Errorf("the log has a token: %s", text)
			}
		}
	}
}

// A token that was exchanged holds at once, and the one before does not.
func TestTokenExchanged(t *testing.T) {
	f := startGuarded(t, true, true)
	file := f.tokens.read.path
	status := func(token string) int {
		r := f.ask("GET", "/api/v1/tenants", "Authorization: Bearer "+token)
		f.read(r)
		return r.StatusCode
	}
	const other = "another-another-another"
	for _, step := range []struct {
		change       func()
		before, then int
	}{
		{func() {}, 200, 401},
		{func() { write(t, file, other) }, 401, 200},
		{func() { write(t, file, strings.ToUpper(other)) }, 401, 401}, // as long
		{func() { write(t, file, "short") }, 401, 401},
		{func() { write(t, file+".new", other); os.Rename(file+".new", file) }, 401, 200},
		{func() { os.Remove(file) }, 401, 401},
		{func() { os.Mkdir(file, 0o700) }, 401, 401},
		{func() { os.Remove(file); write(t, file, tokenRead) }, 200, 401},
	} {
		step.change()
		if got, then := status(tokenRead), status(other); got != step.before || then != step.then {
			t.Errorf("the first token gets %d, the other %d; want %d, %d", got, then, step.before, step.then)
		}
		if got := status(tokenOperate); got != 200 {
			t.Errorf("the token for operating gets %d", got)
		}
	}
	// Without the file every request is refused.
	os.Remove(file)
	if r := f.ask("GET", "/api/v1/tenants"); r.StatusCode != 401 {
		t.Errorf("without a token: %d, want 401", r.StatusCode)
	}
}

// A server whose tokens are not what they should be does not start.
func TestBadTokens(t *testing.T) {
	dir := t.TempDir()
	good := write(t, filepath.Join(dir, "good"), tokenOperate)
	for name, c := range map[string]struct {
		text, want string
	}{
		"empty":     {"", "holds no token"},
		"short":     {"0123456789abcde", "holds no token"},
		"three":     {tokenRead + " " + tokenRead + " " + tokenRead, "holds no token"},
		"nameless":  {"anna " + tokenRead + "\n" + tokenRead + "x", "line 2 has no name"},
		"odd name":  {"an:na " + tokenRead, "line 1 has no name that fits"},
		"long name": {strings.Repeat("a", 41) + " " + tokenRead, "line 1 has no name that fits"},
		"twins":     {"anna " + tokenRead + "\nanna " + tokenRead + "x", "line 2 has a name that is there already"},
		"shared":    {"anna " + tokenRead + "\nbert " + tokenRead, "line 2 has a token that is there already"},
		"one of":    {"anna " + tokenRead + "\n\nbert " + tokenOperate, "reading would include operating"},
		"umlaut":    {"äöüäöüäöüäöüäöü", "holds no token"},
		"huge":      {strings.Repeat("x", maxToken+1), "holds no token"},
		"the same":  {tokenOperate + "\n", "reading would include operating"},
	} {
		file := write(t, filepath.Join(dir, name), c.text)
		_, err := serve(nil, nil, Options{ReadToken: file, OperateToken: good}, nil, clientTimeout)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "token_file") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		} else if c.text != "" && strings.Contains(err.Error(), strings.TrimSpace(c.text)) {
			t.Errorf("%s: the error has the token: %v", name, err)
		}
	}
	for _, missing := range []string{filepath.Join(dir, "none"), dir} {
		if _, err := serve(nil, nil, Options{OperateToken: missing}, nil, clientTimeout); err == nil {
			t.Errorf("%s is taken for a token", missing)
		}
	}
	if key, err := CheckTokens("", filepath.Join(dir, "none")); key != "admin.operate_token_file" || err == nil || !strings.Contains(err.Error(), "write a token of at least 16 characters") {
		t.Errorf("a missing file has no remedy: %v", err)
	}
}

// Pages of other sites, and of other ports of this machine, may not ask; the server's
// own may.
func TestCrossOrigin(t *testing.T) {
	f := startGuarded(t, false, true)
	own := f.Addrs()[0].String()
	for _, c := range []struct {
		origin, site, host string
		want               int
	}{
		{"http://" + own, "same-origin", own, 202},
		{"http://" + own, "", own, 202},
		{"", "none", own, 202},
		{"http://evil.example", "cross-site", own, 403},
		{"http://evil.example", "", own, 403},
		{"http://127.0.0.1:1", "same-site", own, 403},
		{"http://127.0.0.1:1", "", own, 403},
		{"https://" + own, "", own, 403},
		{"null", "", own, 403},
		{"", "cross-site", own, 403},
		{"http://evil.example", "same-origin", "evil.example", 403}, // by a name that leads here
	} {
		headers := []string{"Authorization: Bearer " + tokenOperate, "Host: " + c.host}
		if c.origin != "" {
			headers = append(headers, "Origin: "+c.origin)
		}
		if c.site != "" {
			headers = append(headers, "Sec-Fetch-Site: "+c.site)
		}
		r := f.ask("POST", "/api/v1/drain", headers...)
		if f.read(r); r.StatusCode != c.want {
			t.Errorf("%+v: %d, want %d", c, r.StatusCode, c.want)
		}
		for name := range r.Header {
			if strings.HasPrefix(name, "Access-Control") {
				t.Errorf("%+v: the answer has %s", c, name)
			}
		}
	}
}

// Over TLS a client may know the server by any name, and pages of other sites are refused as ever.
func TestOriginsOverTLS(t *testing.T) {
	t.Parallel()
	ca := authority.New(t, "CA")
	l := tls.NewListener(listen(t, "tcp", "127.0.0.1:0"), &tls.Config{Certificates: []tls.Certificate{ca.Server("hub.example.org").TLS()}})
	f := startAt(t, patient, Options{}, func(*fake) {}, l)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: "hub.example.org"}}
	t.Cleanup(transport.CloseIdleConnections)
	for origin, want := range map[string]int{"": 200, "https://hub.example.org:1": 200, "http://hub.example.org:1": 403, "https://evil.example.org": 403} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+l.Addr().String()+"/api/v1/tenants", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "hub.example.org:1"
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		answer, err := (&http.Client{Transport: transport, Timeout: patient}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if text := f.read(answer); answer.StatusCode != want {
			t.Errorf("from %q: %d %s, want %d", origin, answer.StatusCode, text, want)
		}
	}
}

// What operators do is logged, with who did it; what they look at is not.
func TestOperatingIsLogged(t *testing.T) {
	f := startGuarded(t, false, true)
	f.read(f.ask("GET", "/api/v1/tenants"))
	f.read(f.ask("POST", "/api/v1/drain", "Authorization: Bearer "+tokenOperate))
	f.client = f.bySocket()
	f.read(f.ask("POST", "/api/v1/drain"))
	lines, _ := f.options.Lines.after(0)
	if len(lines) != 2 || !strings.Contains(string(lines[0].Attributes), `"client":"127.0.0.1:`) || !strings.Contains(string(lines[1].Attributes), `"client":"socket, user `) {
		t.Errorf("got %+v", lines)
	}
	if by := `"by":"token"`; !strings.Contains(string(lines[0].Attributes), by) || !strings.Contains(string(lines[1].Attributes), `"by":"socket, user `) {
		t.Errorf("got %s and %s, want %s and the user of the socket", lines[0].Attributes, lines[1].Attributes, by)
	}
	for _, l := range lines {
		if !strings.Contains(string(l.Attributes), `"request":"drain"`) {
			t.Errorf("got %s", l.Attributes)
		}
	}
}

// A token's file says that a byte order mark is what is wrong with it.
func TestTokenWithByteOrderMark(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("\ufeff"+tokenOperate), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (&tokenFile{path: path}).current(); err == nil || !strings.Contains(err.Error(), path+": it begins with a byte order mark") {
		t.Errorf("got %v", err)
	}
}

// Of a file with several tokens each is good, and says who asks.
func TestNamedTokens(t *testing.T) {
	var by []string
	f := startGuarded(t, false, true, func(f *fake) {
		f.carry = func(_ context.Context, v Verb) (api.Release, error) {
			by = append(by, v.By)
			return api.Release{Previous: []api.ReleasedPolicy{}, Held: []api.ReleasedPolicy{}}, nil
		}
	})
	write(t, f.tokens.operate.path, "anna "+tokenOperate+"\n\n  bert "+tokenRead+"  \n")
	kill := func(client *http.Client, token string) int {
		r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+f.Addrs()[0].String()+"/api/v1/releases/kill", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		f.read(answer)
		return answer.StatusCode
	}
	for token, want := range map[string]int{tokenOperate: 200, tokenRead: 200, "anna": 401, "anna " + tokenOperate: 401} {
		if got := kill(f.client, token); got != want {
			t.Errorf("%q: %d, want %d", token, got, want)
		}
	}
	kill(f.bySocket(), "")
	write(t, f.tokens.operate.path, tokenOperate)
	kill(f.client, tokenOperate)
	slices.Sort(by)
	if len(by) != 4 || !strings.HasPrefix(by[0], "socket, user ") || by[1] != "token" || by[2] != "token anna" || by[3] != "token bert" {
		t.Errorf("asked by %q", by)
	}
}
