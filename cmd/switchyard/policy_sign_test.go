package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"switchyard/plugins/teamtalk"
	"switchyard/policy/provenance"
	"switchyard/policy/sanitize"
)

func TestMoments(t *testing.T) {
	now := time.Date(2031, 5, 1, 12, 0, 0, 7, time.FixedZone("", 3600))
	for text, want := range map[string]string{
		"2031-12-31": "2031-12-31T00:00:00Z", "2031-12-31T10:00:00+02:00": "2031-12-31T08:00:00Z", "2031-12-31T10:00:00.5Z": "2031-12-31T10:00:00Z",
		"90d": "2031-07-30T11:00:00Z", "1h30m": "2031-05-01T12:30:00Z", "0d": "2031-05-01T11:00:00Z",
		"": "", "d": "", "-1d": "", "99999d": "", "1.5d": "", "2031-13-01": "", "2031-12-31 10:00": "", "tomorrow": "", "9999999h": "",
	} {
		got, err := moment(text, now)
		if want == "" && err == nil || want != "" && (err != nil || got.Format(time.RFC3339Nano) != want) {
			t.Errorf("%q: %v, %v; want %q", text, got, err, want)
		}
	}
}

// What strangers write into a signature file does not act on a terminal.
func TestHostileKeyIDs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, routes := filepath.Join(dir, "k"), filepath.Join(dir, "routes.toml")
	write := func(path string, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(routes, teamtalk.Table)
	runHere(t, exitStopped, "policy", "keygen", key)
	sign := func(version string) (stdout, stderr string) {
		return runHere(t, exitStopped, "policy", "sign", routes, "--key", key, "--version", version, "--tenant", "*", "--expires", "1d")
	}
	sign("1")
	text, err := os.ReadFile(routes + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	e, err := provenance.ParseEnvelope(text)
	if err != nil {
		t.Fatal(err)
	}
	e.Signatures[0].KeyID = "\x1b]0;title\x07\u009b2J\u202e\t\n" + strings.Repeat("x", 1000)
	if text, err = e.Encode(); err != nil {
		t.Fatal(err)
	}
	write(routes+".sig", text)
	table, _ := runHere(t, exitStopped, "policy", "verify", routes, "--key", key+".pub")
	object, _ := runHere(t, exitStopped, "policy", "verify", routes, "--key", key+".pub", "--json")
	_, note := sign("2")
	for _, text := range []string{table, object, note} {
		if !strings.Contains(text, `]0;title\u0007\u009b2J\u202e`) || sanitize.Lines(text) != text {
			t.Errorf("it prints %q", text)
		}
	}
	if strings.Contains(table+note, strings.Repeat("x", 41)) {
		t.Errorf("it prints all of it: %s%s", table, note)
	}
}
