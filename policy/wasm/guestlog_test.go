package wasm

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestStreamsBecomeLines(t *testing.T) {
	var lines recordedLog
	var g guestLog
	g.init("p", lines.log)
	for _, piece := range []string{"pan", "ic: ", "out of\tluck\nsecond\n\nthi", "rd"} {
		g.stream(2, []byte(piece))
	}
	g.stream(1, []byte("between\n"))
	g.stream(2, []byte("\n"+strings.Repeat("x", 3*lineBytes)))
	g.stream(2, []byte(strings.Repeat("y", 3*lineBytes)+"\nafter\n"))
	want := []string{`p 2 panic: out of\tluck`, "p 2 second", "p 1 between", "p 2 third",
		"p 2 " + strings.Repeat("x", lineBytes) + "…", "p 2 after"}
	if got := lines.logged(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestLinesAreRateLimited(t *testing.T) {
	var lines recordedLog
	var g guestLog
	g.init("p", lines.log)
	now := time.Now()
	g.now = func() time.Time { return now }
	for range linesAtOnce + 7 {
		g.line(1, []byte("x"))
	}
	if got := len(lines.logged()); got != linesAtOnce {
		t.Errorf("at once: got %d lines, want %d", got, linesAtOnce)
	}
	now = now.Add(time.Second)
	for range 2 * linesPerSecond {
		g.line(1, []byte("y"))
	}
	got := lines.logged()[linesAtOnce:]
	if len(got) != linesPerSecond+1 || got[0] != "p 2 7 lines of this policy were dropped" || got[1] != "p 1 y" {
		t.Errorf("a second later: got %q, want the number of dropped lines and %d lines", got, linesPerSecond)
	}
}

func TestReadable(t *testing.T) {
	long := "\t" + strings.Repeat("f", 2*errorBytes)
	for in, want := range map[string]string{
		"trap\n\t$f()":     "trap\n\t$f()",
		"a\x1b[2J\r\n\tb":  `a\u001b[2J\r` + "\n\tb",
		`say "it"`:         `say "it"`,
		long:               long[:errorBytes] + "…",
		"tab\tin the line": "tab\tin the line",
		"路\x00\xff":        `路\u0000\ufffd`,
	} {
		if got := readable(in); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
