package wasm

import (
	"switchyard/pdu"
	"switchyard/policy"
)

// ClassifyRange stores the verdicts of classify on the commands from first on, at most as many as
// there is room for, and returns how many it has stored. It stops at the first command for which
// Classify would fail, with its error. It keeps one instance for the whole range, as long as that
// needs no replacement. Batches of PDUs may wait for that instance, so callers ask about some dozen
// commands at a time.
func (p *Policy) ClassifyRange(service pdu.ServiceID, first pdu.CommandID, verdicts []policy.Verdict) (n int, err error) {
	for n < len(verdicts) && err == nil {
		s, noInstance := p.claim(0)
		if noInstance != nil {
			return n, noInstance
		}
		var stored int
		stored, err = s.in.classifyRange(uint16(service), uint16(first)+uint16(n), verdicts[n:])
		s.release(err)
		n += stored
	}
	return n, err
}

// classifyRange is Policy.ClassifyRange, but ends early if the instance is due to be replaced. A
// word that the guest returns again is not checked again.
func (in *instance) classifyRange(service, first uint16, verdicts []policy.Verdict) (n int, err error) {
	var last uint64 // the word of verdicts[n-1]
	for ; n < len(verdicts) && (n == 0 || !in.growth.due); n++ {
		in.stack[0], in.stack[1] = uint64(service), uint64(first)+uint64(n)
		if err := in.call(in.classify); err != nil {
			return n, err
		}
		if n > 0 && in.stack[0] == last {
			in.noteGrowth()
			verdicts[n] = verdicts[n-1]
			continue
		}
		last = in.stack[0]
		v, err := in.verdict()
		if err == nil {
			err = in.canInspect(v)
		}
		if err != nil {
			return n, err
		}
		verdicts[n] = v
	}
	return n, nil
}
