//go:build full && linux

package main

import (
	"strings"
	"testing"
)

// A short soak passes, and its files did take effect.
func TestSoak(t *testing.T) {
	code, out, stderr := yardbench(t, "soak", "--duration", "12s", "--quiet", "1s")
	if code != exitSound {
		t.Errorf("exit code %d; it printed\n%s%s", code, out, stderr)
	}
	for _, none := range []string{" 0 policies in force", "policies in force, 0 refused", "; 0 configurations in force", "; 0 faults of policies"} {
		if strings.Contains(out, none) {
			t.Errorf("%q in\n%s", none, out)
		}
	}
	if !strings.Contains(out, "policies in force") {
		t.Errorf("the output lacks what was loaded:\n%s", out)
	}
}
