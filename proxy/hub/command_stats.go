package hub

import (
	"switchyard/pdu"
	"switchyard/policy"
)

// known are the commands that are counted apart, by a number of their own: 0 is for
// all that the protocol does not have.
var known = func() []pdu.CommandID {
	all := make([]pdu.CommandID, 1, 1+len(pdu.Commands))
	for _, c := range pdu.Commands {
		all = append(all, c.ID)
	}
	return all
}()

// numbers are the commands' numbers, by id. What the table has no place for is 0.
var numbers = func() (all [0x800]uint8) {
	for i, c := range known {
		all[c] = uint8(i) // of 0, which is no command, 0
	}
	return all
}()

// A tally is a number of neighbouring PDUs of a batch with the same command and the
// same action. Batches are tallied without a lock and counted under one, so that a PDU
// costs no more than an addition.
type tally struct {
	command pdu.CommandID
	action  policy.Action
	pdus    uint32
	bytes   uint64
}

// maxTallies bounds the memory that a seat keeps for them.
const maxTallies = 256

// said is what peers said of one command.
type said struct {
	actions [len(policy.Actions)]uint64 // PDUs, by what their verdicts do
	bytes   uint64
}

// A CommandStats is what peers said of one command, judged or not, since the hub was made.
type CommandStats struct {
	Command pdu.CommandID // 0 stands for all that the protocol does not have
	PDUs    uint64
	Bytes   uint64
	Actions map[policy.Action]uint64 // of the PDUs, by what their verdicts do
}

// tally keeps a tally for countTallies, if there is something in it.
func (s *Seat) tally(t tally) {
	if t.pdus > 0 {
		s.tallies = append(s.tallies, t)
	}
}

// countTallies counts what was tallied, once. Called under mu.
func (h *Hub) countTallies(s *Seat) {
	for _, t := range s.tallies {
		number := uint8(0)
		if int(t.command) < len(numbers) {
			number = numbers[t.command]
		}
		c := &h.counts.said[number]
		c.actions[t.action] += uint64(t.pdus)
		c.bytes += t.bytes
		s.pdusIn += uint64(t.pdus)
		s.bytesIn += t.bytes
		h.counts.bytesIn += t.bytes
	}
	s.tallies = s.tallies[:0]
}

// CommandStats returns what peers said, of those commands that they said, in the order of
// pdu.Commands. What was refused by Refuse is not among it, as nobody judged it.
func (h *Hub) CommandStats() (all []CommandStats) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for number := range h.counts.said {
		c := &h.counts.said[number]
		one := CommandStats{Command: known[number], Bytes: c.bytes, Actions: make(map[policy.Action]uint64)}
		for action, n := range c.actions {
			if one.PDUs += n; n > 0 {
				one.Actions[policy.Action(action)] = n
			}
		}
		if one.PDUs > 0 {
			all = append(all, one)
		}
	}
	return all
}
