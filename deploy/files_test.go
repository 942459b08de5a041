package deploy

// What operators install is checked against config.toml here. With the tag full it is
// also checked against the program, and by the tools that operators use.

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const root = ".."

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// shipped returns the value of a key in a section of config.toml. The program's own tests
// check that it is the default.
func shipped(t *testing.T, section, key string) string {
	t.Helper()
	_, text, ok := strings.Cut(read(t, filepath.Join(root, "config.toml")), "\n["+section+"]\n")
	if !ok {
		t.Fatalf("config.toml has no [%s]", section)
	}
	text, _, _ = strings.Cut(text, "\n[")
	value := regexp.MustCompile(`(?m)^` + key + ` = "?([^"\n]*)"?$`).FindStringSubmatch(text)
	if value == nil {
		t.Fatalf("config.toml has no %s.%s", section, key)
	}
	return value[1]
}

func shippedTime(t *testing.T, section, key string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(shipped(t, section, key))
	if err != nil {
		t.Fatal(err)
	}
	return d
}
