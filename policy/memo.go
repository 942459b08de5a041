package policy

import (
	"sync/atomic"

	"switchyard/pdu"
)

// The memo has a place for every pair of ids that can occur in the protocol,
// services 0–8 with commands 0x0000–0x07ff: 144 KiB per generation. What lies
// outside is judged by a call each time, so that a peer that makes up ids can
// neither grow the memo nor push anything out of it.
const (
	memoServices = 9
	memoCommands = 0x800
)

// What a place of the memo says instead of a verdict; no verdict has reserved
// bits set.
const (
	memoEmpty Verdict = 1<<64 - 1
	memoFault Verdict = 0xfff00000 // with the index of the fault's kind in the low bits

	// memoExcess is a verdict outside of what the policy may do; limits has the rest.
	memoExcess Verdict = 0xffe00000
)

// memo remembers verdicts by ids, each as its complement, so that fresh memory is
// an empty memo. Verdicts are pure: two goroutines that fill the same place write
// the same.
type memo [memoServices * memoCommands]atomic.Uint64

// place returns where the pair's verdict is kept, or nil outside of the memo.
func (m *memo) place(s pdu.ServiceID, c pdu.CommandID) *atomic.Uint64 {
	if s >= memoServices || c >= memoCommands {
		return nil
	}
	return &m[memoIndex(s, c)]
}

// memoIndex returns the number of a pair's place in the memo, which has one.
func memoIndex(s pdu.ServiceID, c pdu.CommandID) int { return int(s)*memoCommands + int(c) }
