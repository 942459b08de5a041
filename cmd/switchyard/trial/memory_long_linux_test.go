//go:build full || race

package trial

import (
	"bytes"
	"strings"
	"testing"
)

// The child's limit of memory holds, and the refusal says so.
func TestMemoryOfATrial(t *testing.T) {
	long := append(bytes.Repeat([]byte("\x41\x00\x1a"), 500_000), broadcast...) // drop (i32.const 0)
	r := New()
	r.memory = 16 << 20
	report, err := r.Try(t.Context(), trialOf(module(long)))
	if err != nil {
		t.Fatal(err)
	}
	if f := report.Refusal; f == nil || !strings.Contains(f.Text, "more than 16 MiB of memory") || f.Temporary {
		t.Errorf("got %+v, want a refusal for memory", report.Refusal)
	}
}
