package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy/review"
	"switchyard/proxy/capture"
)

// Rules for ids that the protocol does not have are seen by every command that shows what a
// policy does.
func TestRulesBeyondTheProtocolAreShown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before, after := filepath.Join(dir, "before.toml"), filepath.Join(dir, "after.toml")
	const table = "[route]\nCID_MSG_DATA = \"broadcast-except-sender\"\n"
	write(t, before, table)
	write(t, after, table+"0x0900 = \"broadcast-all\"\n0x1200-0x120f = \"consume\"\n[service.0x4242]\n0x0a00 = \"close\"\n")

	out, _ := runHere(t, 0, "policy", "show", after)
	for _, want := range []string{"0x0900", "0x1200-0x120f", "0x4242", "asked about every command id"} {
		if !strings.Contains(out, want) {
			t.Errorf("show prints no %q:\n%s", want, out)
		}
	}
	out, _ = runHere(t, 1, "policy", "diff", before, after, "--json")
	var d difference
	if err := json.Unmarshal([]byte(out), &d); err != nil || len(d.Changes) != 3 || d.Changes[0].Command != "0x0900" ||
		d.Changes[1].Services[0] != "0x4242" || d.Changes[2].First != 0x1200 || d.Changes[2].Last != 0x120f {
		t.Errorf("%v, diff has %+v", err, d.Changes)
	}

	config := filepath.Join(dir, "config.toml")
	write(t, config, "[tenant.default]\npolicy = \"file:after.toml\"\n")
	out, _ = runHere(t, 0, "check", "--config", config)
	for _, want := range []string{"0x0900 of any: broadcast-all", "0x1200-0x120f of any: consume", "0x0a00 of 0x4242: close"} {
		if !strings.Contains(out, want) {
			t.Errorf("check prints no %q:\n%s", want, out)
		}
	}
}

// check shows the rules of each tenant, though it extracts the table of equal policies once.
func TestCheckOfEqualPolicies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const table = "[route]\nCID_MSG_DATA = \"broadcast-except-sender\"\n"
	write(t, filepath.Join(dir, "plain.toml"), table)
	write(t, filepath.Join(dir, "beyond.toml"), table+"0x0900 = \"broadcast-all\"\n")
	config := filepath.Join(dir, "config.toml")
	write(t, config, `[[listener]]
address = "127.0.0.1:8200"
tenant = "a"
insecure_open = true
[tenant.a]
policy = "file:beyond.toml"
[tenant.b]
policy = "file:plain.toml"
[tenant.c]
policy = "file:beyond.toml"
[tenant.d]
policy = "file:beyond.toml"
may = ["broadcast-except-sender"]
`)
	out, _ := runHere(t, 0, "check", "--config", config)
	for tenant, want := range map[string]string{"a": "broadcast-all", "b": "", "c": "broadcast-all", "d": "drop"} {
		rule := "tenant " + tenant + ": rule for ids beyond the protocol: 0x0900 of any: "
		if want == "" && strings.Contains(out, rule) || want != "" && !strings.Contains(out, rule+want) {
			t.Errorf("tenant %s, want %q:\n%s", tenant, want, out)
		}
	}
}

// A capture whose PDUs two policies decide differently is a difference, whatever their ids.
func TestDiffOfServicesInACapture(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	recording := filepath.Join(dir, "strange.pcapng")
	f, err := os.Create(recording)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := capture.NewWriter(f, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.AddTenant(capture.Tenant{Name: "default", Bodies: true}); err != nil {
		t.Fatal(err)
	}
	whole := pdutest.Raw(0x0900, 0, nil)
	whole[8], whole[9] = 0x77, 0x77 // the service
	for _, r := range []capture.Record{{Kind: capture.Joined, Session: 1}, {Kind: capture.PDU, Session: 1, PDU: whole, Length: len(whole)}} {
		r.Time = time.Unix(1e9, 0)
		if err := w.Write(&r); err != nil {
			t.Fatal(err)
		}
	}
	service := pdu.ParseHeader(whole).Service.String()
	before, after := filepath.Join(dir, "before.toml"), filepath.Join(dir, "after.toml")
	write(t, before, "[route]\nCID_MSG_DATA = \"consume\"\n")
	write(t, after, "[route]\nCID_MSG_DATA = \"consume\"\n[service."+service+"]\nelse = \"consume\"\n")
	out, _ := runHere(t, 1, "policy", "diff", before, after, "--capture", recording, "--json")
	var d difference
	if err := json.Unmarshal([]byte(out), &d); err != nil || d.Traffic.Total.Changed != 1 || len(d.Changes) == 0 ||
		d.Changes[0].Command != review.Else || d.Changes[0].Services[0] != service || d.Changes[0].Weight.Changed != 1 {
		t.Errorf("%v\n%s", err, out)
	}
}
