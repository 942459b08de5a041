package main

import (
	"fmt"
	"io"
	"sync"

	"switchyard/policy/abi"
)

// What a policy logs while a command runs it. 'policy test' shows the lines below the case during
// which they came; other commands print them at once.

// mostLines is how many lines of a policy are kept for one case.
const mostLines = 100

// guestLines receives what a policy logs. It prints the lines, or keeps them for TakeLines. The
// engine may call log on any goroutine.
type guestLines struct {
	stderr io.Writer

	mu    sync.Mutex // guards all below
	keeps bool
	kept  []string
	more  int // lines that were not kept
}

// log is a wasm.Logger.
func (g *guestLines) log(policy string, level int, text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case !g.keeps:
		fmt.Fprintf(g.stderr, "policy %q says: %s\n", policy, text)
	case len(g.kept) < mostLines:
		g.kept = append(g.kept, levelOfGuest(level)+": "+text)
	default:
		g.more++
	}
}

// levelOfGuest names a level of the ABI as the log does.
func levelOfGuest(level int) string {
	switch level {
	case abi.LogDebug:
		return "debug"
	case abi.LogInfo:
		return "info"
	case abi.LogWarn:
		return "warn"
	}
	return "error"
}

// keepLines has the policy's lines kept from now on, all of them.
func (g *loadedPolicy) keepLines() {
	g.Policy.LogEverything()
	g.lines.mu.Lock()
	defer g.lines.mu.Unlock()
	g.lines.keeps = true
}

// TakeLines returns the lines that were kept since the last call. Package cases calls it after each
// case.
func (g *loadedPolicy) TakeLines() []string {
	l := g.lines
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.kept
	if l.more > 0 {
		lines = append(lines, fmt.Sprintf("%d more lines", l.more))
	}
	l.kept, l.more = nil, 0
	return lines
}
