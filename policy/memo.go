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
	return &m[int(s)*memoCommands+int(c)]
}
