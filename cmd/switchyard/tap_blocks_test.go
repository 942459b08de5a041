//go:build full || race

package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// A tap whose output is not read blocks no peer. What it printed and what it missed add
// up to what was sent.
func TestTapBlocksNoPeer(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	a, b := p.dial(), p.dial()
	l := listenTo(t, p, "--bodies", "--command", "CID_MSG_DATA")
	const pdus = 1500
	text := strings.Repeat("x", 8000)
	for i := range pdus {
		m := chat(uint16(i), text)
		a.say(m)
		b.expect(m) // though no line has been read
	}
	shown, missed := 0, 0
	for shown+missed < pdus {
		var n int
		if line := l.line(); strings.Contains(line, " seq ") {
			shown++
		} else if _, err := fmt.Sscanf(line, "%d PDUs missed", &n); err == nil {
			missed += n
		} else {
			t.Fatalf("it prints %q", line)
		}
	}
	if shown+missed != pdus || missed == 0 || shown == 0 {
		t.Errorf("%d shown and %d missed, want %d together, and some of both", shown, missed, pdus)
	}
	l.cmd.Process.Signal(syscall.SIGTERM)
	if got, want := l.end(exitStopped), fmt.Sprintf("%d PDUs, %d missed; ended: interrupted\n", shown, missed); got != want {
		t.Errorf("it reports %q, want %q", got, want)
	}
}
