package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The Containerfiles of this repository are understood.
func TestRecipes(t *testing.T) {
	r, err := readRecipe(filepath.Join(containers, "Containerfile"), "arm64")
	if err != nil {
		t.Fatal(err)
	}
	c := r.config
	if c.User != "65532:65532" || c.StopSignal != "SIGTERM" || !slices.Equal(c.Entrypoint, []string{"/switchyard"}) ||
		!slices.Equal(c.Cmd, []string{"serve", "--config", "/etc/switchyard/config.toml"}) || !slices.Equal(c.Env, []string{"XDG_CACHE_HOME=/var/lib"}) {
		t.Errorf("got %+v", c)
	}
	if _, ok := c.ExposedPorts["8200/tcp"]; !ok || len(c.ExposedPorts) != 1 {
		t.Errorf("ports %v", c.ExposedPorts)
	}
	if h := c.Healthcheck; h == nil || !slices.Equal(h.Test, []string{"CMD", "/switchyard", "health", "--address", "127.0.0.1:8280"}) ||
		h.Interval != 10*time.Second || h.Timeout != 6*time.Second || h.StartPeriod != time.Minute || h.Retries != 3 {
		t.Errorf("health check %+v", h)
	}
	if want := []copied{{"switchyard-linux-arm64", "/switchyard", 0o755, 0, 0}, {"config.toml", "/etc/switchyard/config.toml", 0o644, 0, 0}, {"state", "/var/lib/switchyard", 0o700, 65532, 65532}}; !slices.Equal(r.copies, want) {
		t.Errorf("copies %+v", r.copies)
	}
	bus, err := readRecipe(filepath.Join(containers, "yardbus.Containerfile"), "amd64")
	if err != nil || len(bus.config.ExposedPorts) != 2 || len(bus.copies) != 2 {
		t.Errorf("got %+v, %v", bus, err)
	}
}

// An instruction that this program would leave out is an error.
func TestRecipesAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"FROM debian":                "FROM debian: the image must contain nothing else",
		"RUN true":                   "RUN true: this instruction is unknown",
		"COPY --link a /a":           "--link is unknown",
		"COPY a /a":                  "want --chmod, a source and a destination",
		"COPY --chmod=9 a /a":        "invalid syntax",
		"COPY --chown=root:root a b": "want numbers",
		"ENTRYPOINT /switchyard":     "invalid character",
		"HEALTHCHECK NONE":           "unexpected end of JSON input",
		"HEALTHCHECK --x=1 CMD []":   "--x is unknown",
	} {
		if _, err := readRecipe(write(t, "Containerfile", text), "amd64"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestSigners(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	block := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for name, text := range map[string]string{"empty": "", "no PEM": "secret", "ECDSA": block, "two": block + block} {
		path := write(t, "key", text)
		if _, err := readSigner(path); err == nil || !strings.HasPrefix(err.Error(), "KEY="+path+": it is not an ed25519 private key in PEM; make one with 'switchyard policy keygen'") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := readSigner("/nonexistent"); err == nil || err.Error() != "KEY: open /nonexistent: no such file or directory" {
		t.Error(err)
	}
	if key, err := readSigner(""); key != nil || err != nil {
		t.Error(err)
	}
}

// A wrong command line, a release that is not there and a registry that cannot be are refused with a
// remedy, and nothing is left.
func TestCommandsAreRefused(t *testing.T) {
	out := filepath.Join(t.TempDir(), "packages")
	noArchive, foreign := write(t, "image.tar", "no archive"), write(t, "switchyard-linux-amd64", "#!/bin/sh\n")
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, `unknown command ""; write build or push`},
		{[]string{"build", "--out", out, "--stage", "."}, "build needs --release"},
		{[]string{"build", "--out", out, "--stage", ".", "--release", ".", "more"}, "build takes no more"},
		{[]string{"build", "--out", t.TempDir(), "--stage", ".", "--release", "."}, "it exists; remove it first"},
		{[]string{"build", "--out", out, "--stage", ".", "--release", t.TempDir()}, "switchyard-linux-amd64: no such file or directory; run 'make release'"},
		{[]string{"build", "--out", out, "--stage", ".", "--release", filepath.Dir(foreign)}, "run 'make release'"},
		{[]string{"push", noArchive}, "push needs an archive and where to push it"},
		{[]string{"push", noArchive, "registry.example/switchyard"}, "write registry.example/switchyard:1.5.0"},
		{[]string{"push", noArchive, "registry.example/switchyard:1"}, "it must be an image of 'make packages'"},
	} {
		if err := run(c.args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.args, err, c.want)
		}
		if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) > 0 {
			t.Errorf("%q leaves %v, %v", c.args, left, err)
		}
	}
}

// The chart of a release has its version, and all files but the README.
func TestChart(t *testing.T) {
	out := t.TempDir()
	if err := writeChart(out, program{name: "switchyard", version: "1.5.0-rc.1"}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(out, "switchyard-1.5.0-rc.1-chart.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	compressed, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for files := tar.NewReader(compressed); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		got[h.Name] = string(text)
	}
	if text := got["switchyard/Chart.yaml"]; !strings.Contains(text, "\nversion: 1.5.0-rc.1\n") || !strings.Contains(text, "\nappVersion: 1.5.0-rc.1\n") {
		t.Errorf("Chart.yaml is\n%s", text)
	}
	for _, name := range []string{"values.yaml", "values.schema.json", "templates/hub.yaml", "templates/_hub.tpl", "templates/NOTES.txt"} {
		if want, err := os.ReadFile(filepath.Join(charts, "switchyard", name)); err != nil || got["switchyard/"+name] != string(want) {
			t.Errorf("%s: got %q, %v", name, got["switchyard/"+name], err)
		}
	}
	if _, ok := got["switchyard/README.md"]; ok {
		t.Error("the README is there, with links that lead nowhere")
	}
}

// A module without a licence cannot be distributed.
func TestLicencesAreRequired(t *testing.T) {
	if err := appendLicences(nil, "example.org/m v1.0.0", t.TempDir()); err == nil || !strings.HasPrefix(err.Error(), "example.org/m v1.0.0 has no file with a licence") {
		t.Error(err)
	}
}

// A package's configuration differs from the shipped one in the admin socket alone.
func TestPackagedConfig(t *testing.T) {
	stage := t.TempDir()
	shipped, err := os.ReadFile(filepath.Join(root, "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(stage, "etc", "switchyard"), 0o755); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(stage, "etc", "switchyard", "config.toml")
	if err := os.WriteFile(config, shipped, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := packagedConfig(stage)
	if err != nil || strings.Replace(string(got), "/run/switchyard/admin.sock", "", 1) != string(shipped) {
		t.Errorf("got\n%s\n%v", got, err)
	}
	if err := os.WriteFile(config, []byte("[admin]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := packagedConfig(stage); err == nil {
		t.Error("a configuration without the line is taken")
	}
}
