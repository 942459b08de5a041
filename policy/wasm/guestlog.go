package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/tetratelabs/wazero/api"

	"switchyard/policy/abi"
	"switchyard/policy/sanitize"
)

const (
	lineBytes      = 512 // the longest line of a guest that is logged whole
	linesAtOnce    = 32  // how many lines a policy may log in a row
	linesPerSecond = 4   // and how many in the long run
)

// A guestLog passes what one policy's instances log to its Logger, as truncated lines at a
// limited rate.
//
//	switchyard_v1.log(level, ptr, len) ─────────────────▶ line ─▶ take ─▶ Logger
//	WASI fd_write(1 or 2) ─▶ stream ─▶ join, up to "\n" ──┘         └──▶ dropped
//
// All instances of a policy share it, unfinished lines of stdout included: lines that two
// instances write in parts can be mixed. The Logger is called without the lock. A guest that
// logs for each PDU thus gets 32 lines at once and then four a second, and each further line
// that gets through is preceded by one that says how many were dropped.
type guestLog struct {
	policy string
	log    Logger
	now    func() time.Time

	unlimited bool // set before the first call; lines are neither counted nor dropped

	mu      sync.Mutex // guards all below; no other lock is taken while it is held
	tokens  float64    // of a bucket that holds linesAtOnce
	filled  time.Time  // when tokens was computed
	dropped int        // lines since the last one that was logged
	partial [2][]byte  // the unfinished lines of stdout and stderr
}

func (g *guestLog) init(policy string, log Logger) {
	g.policy, g.log, g.now = policy, log, time.Now
	g.tokens, g.filled = linesAtOnce, g.now()
}

// LogEverything lifts the limit on the rate of what the policy logs. Call it before the policy is used
// by several goroutines.
func (p *Policy) LogEverything() { p.lines.unlimited = true }

// logCall is switchyard_v1.log(level, ptr, len).
func (g *guestLog) logCall(_ context.Context, guest api.Module, stack []uint64) {
	charge(guest, hostCall)
	level, ptr, n := int32(stack[0]), uint32(stack[1]), uint32(stack[2])
	text := view(guest, ptr, n)
	g.line(int(min(max(level, abi.LogDebug), abi.LogError)), text)
}

// fdWrite is WASI's fd_write(fd, iovs, n, nwritten) for stdout and stderr. An iov is two
// little-endian 32-bit numbers: the address and the length of a text. Many iovs may name the
// same text, so each iov is charged by its length, and the call is charged by the number of
// iovs before any is read.
func (g *guestLog) fdWrite(_ context.Context, guest api.Module, stack []uint64) {
	const iovLen = 8
	fd, iovs, n, nwritten := uint32(stack[0]), uint32(stack[1]), uint32(stack[2]), uint32(stack[3])
	charge(guest, hostCall+uint64(n)*10)
	if fd != 1 && fd != 2 {
		stack[0] = wasiBadFile
		return
	}
	if n > 1<<20 {
		panic(errPointer)
	}
	var total uint32
	for list := view(guest, iovs, n*iovLen); len(list) > 0; list = list[iovLen:] {
		text := view(guest, binary.LittleEndian.Uint32(list), binary.LittleEndian.Uint32(list[4:]))
		charge(guest, uint64(len(text))+hostCall*uint64(bytes.Count(text, []byte("\n"))))
		total += uint32(len(text))
		g.stream(fd, text)
	}
	binary.LittleEndian.PutUint32(view(guest, nwritten, 4), total)
	stack[0] = wasiSuccess
}

// stream cuts what is written to stdout or stderr into lines.
func (g *guestLog) stream(fd uint32, text []byte) {
	level := abi.LogInfo
	if fd == 2 {
		level = abi.LogWarn
	}
	for len(text) > 0 {
		head, rest, whole := bytes.Cut(text, []byte("\n"))
		if line := g.join(fd, head, whole); len(line) > 0 {
			g.line(level, line)
		}
		text = rest
	}
}

// join appends head to the unfinished line, and returns the line if it is now complete. Of
// a long line it keeps one byte more than is logged, to show that the line was longer.
func (g *guestLog) join(fd uint32, head []byte, whole bool) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	partial := &g.partial[fd-1]
	line := append(*partial, head[:min(len(head), lineBytes+1-len(*partial))]...)
	if whole {
		*partial = nil
		return line
	}
	*partial = line
	return nil
}

// line logs one line if the rate allows it.
func (g *guestLog) line(level int, text []byte) {
	dropped, ok := g.take()
	if !ok {
		return
	}
	if dropped > 0 {
		g.log(g.policy, abi.LogWarn, fmt.Sprintf("%d lines of this policy were dropped", dropped))
	}
	begin := string(text[:min(len(text), lineBytes+1)]) // text may be as long as the guest's memory
	g.log(g.policy, level, sanitize.Text(shorten(begin, lineBytes)))
}

// take reports whether a line may be logged, and how many were dropped before it.
func (g *guestLog) take() (dropped int, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.unlimited {
		return 0, true
	}
	now := g.now()
	g.tokens = min(linesAtOnce, g.tokens+now.Sub(g.filled).Seconds()*linesPerSecond)
	g.filled = now
	if g.tokens < 1 {
		g.dropped++
		return 0, false
	}
	g.tokens--
	dropped, g.dropped = g.dropped, 0
	return dropped, true
}

// shorten truncates a text to so many bytes, and marks that with an ellipsis.
func shorten(s string, most int) string {
	if cut := sanitize.Cut(s, most); len(cut) < len(s) {
		return cut + "…"
	}
	return s
}
