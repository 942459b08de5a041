package server

import (
	"strings"
	"testing"

	"switchyard/policy/release/history"
)

// A rollback names a policy that is kept by its version, or by enough of its SHA-256.
func TestTarget(t *testing.T) {
	t.Parallel()
	one := history.Policy{SHA256: strings.Repeat("1fbdb280", 8), Version: 6}
	two := history.Policy{SHA256: strings.Repeat("20000000", 8)}
	kept := history.Tenant{Previous: []history.Policy{one, two}}
	for to, want := range map[string]struct {
		policy *history.Policy
		fault  string
	}{
		"":         {&two, ""},
		"1FBDB280": {&one, ""},
		"v6":       {&one, ""},
		"6":        {&one, ""},
		"1fbdb28":  {nil, `"1fbdb28" is not a version and too short for a SHA-256; write at least 8 digits of that`},
		"v7":       {nil, "no policy that was in force and is kept has"},
		"30000000": {nil, "no policy that was in force and is kept has"},
		"teamtalk": {nil, "no policy that was in force and is kept has"},
	} {
		got, err := target(kept, to)
		if want.policy != nil && (err != nil || got.SHA256 != want.policy.SHA256) {
			t.Errorf("%q: got %v, %v, want %s", to, got, err, want.policy.SHA256)
		}
		if want.fault != "" && (err == nil || !strings.Contains(err.Error(), want.fault)) {
			t.Errorf("%q: got %v, %v, want an error with %q", to, got, err, want.fault)
		}
	}
}
