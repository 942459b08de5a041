package policy

import (
	"sync/atomic"

	"switchyard/pdu"
)

// The memo has an entry for every pair of ids that can occur in the protocol: services 0–8
// with commands 0x0000–0x07ff, 144 KiB per generation. Other ids have an entry only
// if the policy names them (named.go); the rest cost a call each time, so that a peer that
// invents ids can neither grow the memo nor evict anything:
//
//	entry   0        1              2047      2048           18431
//	        0,0x0000 0,0x0001 …     0,0x07ff  1,0x0000 …     8,0x07ff
const (
	memoServices = 9
	memoCommands = 0x800
)

// Special values that an entry of the memo can hold instead of a verdict. They have the bit
// memoSpecial, which no action has.
const (
	memoSpecial Verdict = 0x80

	memoEmpty Verdict = 1<<64 - 1
	memoFault Verdict = memoSpecial // with the index of the fault's kind in the low bits

	// memoExcess stands for a verdict that is not allowed; limits has the fault.
	memoExcess Verdict = memoSpecial | 0x40
)

// memo stores verdicts by ids, each as its complement, so that zeroed memory is an empty
// memo. A policy is a pure function: two goroutines that fill the same entry write the
// same value.
type memo [memoServices * memoCommands]atomic.Uint64

// entry returns the pair's entry, or nil if the memo has none for it.
func (m *memo) entry(s pdu.ServiceID, c pdu.CommandID) *atomic.Uint64 {
	if !InMemo(s, c) {
		return nil
	}
	return &m[memoIndex(s, c)]
}

// load returns the content of the pair's entry, or memoEmpty if the memo has no entry for
// it.
func (m *memo) load(s pdu.ServiceID, c pdu.CommandID) Verdict {
	if !InMemo(s, c) {
		return memoEmpty
	}
	return ^Verdict(m[memoIndex(s, c)].Load())
}

// memoIndex returns the index of a pair's entry. The pair must have one.
func memoIndex(s pdu.ServiceID, c pdu.CommandID) int { return int(s)*memoCommands + int(c) }
