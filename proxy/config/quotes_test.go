package config

import (
	"strings"
	"testing"
)

// A text without its quotes is said to need them; other faults of TOML are not.
func TestTextsWithoutQuotes(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"allow = 10.0.0.1": true, "allow = [10.0.0.1]": true, "allow = [\"10.0.0.1\", 10.0.0.2] # two": true, "allow = 10.0.0.0/8": true,
		"allow = ::1": true, "allow = [fe80::/64]": true, "address = 127.0.0.1:8200": true, "timeout = 30s": true, "level = info": true,
		"address = \"127.0.0.1:8200": false, "allow = [\"10.0.0.1\"": false, "allow = ": false, "[[listener": false,
		"insecure_open = true false": false,
	} {
		_, err := load("c.toml", []byte("[[listener]]\n"+line+"\n"), nil, nil)
		if err == nil || strings.Contains(err.Error(), "in quotes, as in allow") != want {
			t.Errorf("%s: got %v, want a hint at quotes: %v", line, err, want)
		}
	}
}
