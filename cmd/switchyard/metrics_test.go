//go:build full || race

package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"switchyard/pdu"
	"switchyard/proxy/certificate/authority"
)

// scrape asks for metrics, and returns the status and the text.
func scrape(t *testing.T, url, token string, secured *tls.Config) (int, string) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: secured}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := (&http.Client{Transport: transport, Timeout: patience}).Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// The address of metrics comes, changes who may read, and goes with reloads, while peers stay
// connected. What is refused changes nothing.
func TestMetricsAddress(t *testing.T) {
	t.Parallel()
	dir, p, o := startOperated(t, everyone)
	peer := p.dial()
	ca := authority.New(t, "CA")
	ca.Server("127.0.0.1").Write(dir, "metrics")
	trusted := &tls.Config{RootCAs: ca.Pool(), ServerName: "127.0.0.1"}
	base := "[admin]\nsocket = \"a.sock\"\noperate_token_file = \"token\"\n[tenant.default]\npolicy = \"file:routes.toml\"\n[reload]\nwatch = false\n[metrics]\n"
	reload := func(want int, text string) string {
		t.Helper()
		save(t, dir, "config.toml", base+text)
		return o.ask(want, "POST", "/api/v1/reload", "", "", nil)
	}

	reload(200, "address = \"127.0.0.1:0\"\n")
	address := p.expect(`"msg":"metrics"`)["address"].(string)
	if status, text := scrape(t, "http://"+address+"/metrics", "", nil); status != 200 || !strings.Contains(text, "\nswitchyard_connections{tenant=\"default\"} 1\n") {
		t.Errorf("plain: %d %s", status, text)
	}
	save(t, dir, "scrape.token", "a-token-to-scrape-with")
	secured := "address = \"127.0.0.1:0\"\ntoken_file = \"scrape.token\"\ntls.certificate = \"metrics.pem\"\ntls.key = \"metrics.key\"\n"
	reload(200, secured)
	for token, want := range map[string]int{"": 401, "another-token-to-scrape": 401, "a-token-to-scrape-with": 200} {
		if status, text := scrape(t, "https://"+address+"/metrics", token, trusted); status != want {
			t.Errorf("with the token %q: %d %s, want %d", token, status, text, want)
		} else if status == 200 && !strings.Contains(text, `switchyard_tls_certificate_not_after_timestamp_seconds{listener="metrics"}`) {
			t.Errorf("no expiry of the certificate in %s", text)
		}
	}
	save(t, dir, "scrape.token", "short")
	if text := reload(422, strings.Replace(secured, "token_file", "allow = [\"127.0.0.1\"]\ntoken_file", 1)); !strings.Contains(text, "metrics.token_file: ") {
		t.Errorf("a bad token: %s", text)
	}
	save(t, dir, "scrape.token", "a-token-to-scrape-with")
	save(t, dir, "metrics.pem", "nonsense")
	if text := reload(422, secured); !strings.Contains(text, "metrics.pem") {
		t.Errorf("a bad certificate: %s", text)
	}
	if status, text := scrape(t, "https://"+address+"/livez", "", trusted); status != 200 {
		t.Errorf("after what was refused: %d %s", status, text)
	}
	reload(200, "")
	if status, _ := scrape(t, "https://"+address+"/livez", "", trusted); status != 0 {
		t.Errorf("it is gone and answers %d", status)
	}
	peer.settle()
	reload(200, "address = \"127.0.0.1:0\"\n")
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitStopped {
		t.Errorf("exit code %d", code)
	}
}

// Custom commands have their names in the metrics, also where they are dropped; other unknown commands
// have none.
func TestMetricsOfCustomCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	save(t, dir, "config.toml", "[commands]\nCID_MY_ORDER = 0x0901\nCID_MY_NOISE = 0x0902\n[tenant.default]\npolicy = \"file:routes.toml\"\n[reload]\nwatch = false\n")
	save(t, dir, "routes.toml", everyone+"CID_MY_ORDER = \"broadcast-all\"\nCID_MY_NOISE = \"drop\"\n")
	p := start(t, dir, "--set", "metrics.address=127.0.0.1:0")
	c := p.dial()
	order := pdu.Append(nil, 9, 0x0901, 0, nil)
	c.say(order, pdu.Append(nil, 9, 0x0902, 0, nil), pdu.Append(nil, 9, 0x0903, 0, nil))
	c.expect(order)
	c.settle()
	status, text := scrape(t, "http://"+p.expect(`"msg":"metrics"`)["address"].(string)+"/metrics", "", nil)
	for _, want := range []string{`action="broadcast-all",command="CID_MY_ORDER"`, `action="drop",command="CID_MY_NOISE"`, `action="drop",command="other"`} {
		if status != 200 || !strings.Contains(text, "\nswitchyard_pdus_total{"+want+`,tenant="default"} 1`+"\n") {
			t.Errorf("%d, no %s in\n%s", status, want, text)
		}
	}
}

// A start without the token, or with an address that is taken, fails before peers are served.
func TestMetricsAddressRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	busy := start(t, t.TempDir(), "--set", "metrics.address=127.0.0.1:0").expect(`"msg":"metrics"`)["address"].(string)
	for args, want := range map[string]int{
		"--set metrics.address=127.0.0.1:0 --set metrics.token_file=" + filepath.Join(dir, "none"): exitConfig,
		"--set metrics.address=" + busy: exitUnavailable,
	} {
		var stderr strings.Builder
		code := run(append([]string{"--listen", "127.0.0.1:0", "--set", "admin.address="}, strings.Fields(args)...), nil, io.Discard, &stderr)
		if code != want || !strings.Contains(stderr.String(), "metrics") {
			t.Errorf("%s: exit code %d, %s", args, code, stderr.String())
		}
	}
}

// check reads the certificate of the address of metrics, and says until when it is good.
func TestCheckOfMetricsAddress(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), authority.New(t, "CA")
	ca.Server("127.0.0.1").Write(dir, "metrics")
	save(t, dir, "config.toml", "[metrics]\naddress = \"10.1.0.5:9280\"\nallow = [\"10.1.0.9\"]\ntls.certificate = \"metrics.pem\"\ntls.key = \"metrics.key\"\n[releases]\nstate = \"\"\n[signatures]\nstate = \"\"\n")
	var out strings.Builder
	if code := run([]string{"check", "--config", filepath.Join(dir, "config.toml")}, nil, &out, &out); code != exitStopped || !strings.Contains(out.String(), "metrics 10.1.0.5:9280: TLS, its certificate is good until ") {
		t.Errorf("exit code %d, %s", code, out.String())
	}
	save(t, dir, "metrics.key", "nonsense")
	if code := run([]string{"check", "--config", filepath.Join(dir, "config.toml"), "--set", "log.access_file=none/access.log"}, nil, &out, &out); code != exitConfig || !strings.Contains(out.String(), "metrics.key") || !strings.Contains(out.String(), "log.access_file: there is no folder") {
		t.Errorf("exit code %d, %s", code, out.String())
	}
}
