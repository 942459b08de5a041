//go:build full

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"switchyard/proxy/certificate/authority"
)

// Prometheus itself reads the metrics with a client certificate and a token, as the documents show,
// and loads the alerts.
func TestPrometheusScrapes(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("prometheus is missing; on Debian, apt-get install prometheus")
	}
	dir, ca := t.TempDir(), authority.New(t, "CA")
	ca.Server("127.0.0.1").Write(dir, "metrics")
	ca.Client("prometheus").Write(dir, "prometheus")
	ca.Write(dir, "ca.pem")
	save(t, dir, "scrape.token", "a-token-to-scrape-with")
	save(t, dir, "config.toml", "[metrics]\naddress = \"127.0.0.1:0\"\ntoken_file = \"scrape.token\"\ntls.certificate = \"metrics.pem\"\ntls.key = \"metrics.key\"\ntls.client_ca = \"ca.pem\"\n")
	p := start(t, dir)
	p.dial()
	rules, err := filepath.Abs(filepath.Join(root, "deploy/prometheus/switchyard.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	save(t, dir, "prometheus.yml", fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - job_name: switchyard
    static_configs: [{targets: [%q], labels: {system: chat}}]
    scheme: https
    tls_config: {ca_file: ca.pem, cert_file: prometheus.pem, key_file: prometheus.key}
    authorization: {credentials_file: scrape.token}
`, rules, p.expect(`"msg":"metrics"`)["address"]))
	address := freeAddress(t)
	c := exec.CommandContext(t.Context(), program, "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", "--web.listen-address="+address)
	c.Dir, c.Stdout, c.Stderr = dir, t.Output(), t.Output()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	impatient := http.Client{Timeout: time.Second} // a query that hangs is asked again
	query := func(q string) (value string) {
		r, err := impatient.Get("http://" + address + "/api/v1/query?query=" + url.QueryEscape(q))
		if err != nil {
			return ""
		}
		defer r.Body.Close()
		var answer struct {
			Data struct {
				Result []struct{ Value [2]any }
			}
		}
		if json.NewDecoder(r.Body).Decode(&answer) != nil || len(answer.Data.Result) != 1 {
			return ""
		}
		return fmt.Sprint(answer.Data.Result[0].Value[1])
	}
	for q, want := range map[string]string{
		"up": "1", `switchyard_connections{system="chat"}`: "1", "count(switchyard_delivery_seconds_count)": "1",
		`ALERTS{alertname="SwitchyardCertificateExpires",alertstate="firing"}`: "1", // the test's certificate is good for a day
	} {
		eventually(t, func() bool { return query(q) == want }, func() string { return fmt.Sprintf("%s is %q, want %s", q, query(q), want) })
	}
}
