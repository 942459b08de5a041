//go:build full || race

package table

import (
	"errors"
	"strings"
	"testing"

	"switchyard/policy/tomlpos"
)

// A file that is not a table at all has a bounded number of faults.
func TestFaultsAreBounded(t *testing.T) {
	comments := strings.Repeat("#"+strings.Repeat("-", 126)+"\n", 1000)
	for _, src := range []string{
		"[route]\n" + repeated(4000, "%d = 'no'\n"),
		"[route]\n" + repeated(4000, "CID_MSG_DATA_DATA_DATA_%d='drop'\n"),
		"[route]\n" + repeated(2000, "0-%d = 'drop'\n1-0x%[1]x = 'drop'\n"),
		repeated(4000, "line %d\n"),
		repeated(1000, "route.%d.c.d.e.f.g.h.i.j.k.l.m.n.o = 1\n"),
		repeated(1000, "service.a%d.else = 'no'\n"),
		comments + "[route]\n" + repeated(500, "%d = 'no'\n") + repeated(500, "%d = 'no'\n"),
	} {
		_, err := Parse("x", []byte(src))
		var faults tomlpos.Errors
		if !errors.As(err, &faults) || len(faults) > maxFaults+1 {
			t.Errorf("%d faults, want at most %d", len(faults), maxFaults+1)
		}
	}
	_, err := Parse("x", []byte("[route]\n"+repeated(4000, "%d = 'no'\n")))
	if got, want := err.Error(), "\nx:102: more than 100 faults; correct these first"; !strings.HasSuffix(got, want) {
		t.Errorf("the last fault is not %q", want)
	}
}
