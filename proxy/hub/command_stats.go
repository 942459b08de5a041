package hub

import (
	"maps"
	"slices"

	"switchyard/pdu"
	"switchyard/policy"
)

// countedCommands are the commands that are counted separately. The index of a command
// is where its counts are; index 0 is for all ids that the protocol does not have.
var countedCommands = func() []pdu.CommandID {
	all := make([]pdu.CommandID, 1, 1+len(pdu.Commands))
	for _, c := range pdu.Commands {
		all = append(all, c.ID)
	}
	return all
}()

// commandIndex is the index of each command, by its id. Ids beyond the array have
// index 0.
var commandIndex = func() (all [0x800]uint8) {
	for i, c := range countedCommands {
		all[c] = uint8(i) // for id 0, which is not a command, 0
	}
	return all
}()

// indexOf returns the index of a command, 0 if it has none of its own.
func indexOf(c pdu.CommandID) uint8 {
	if int(c) < len(commandIndex) {
		return commandIndex[c]
	}
	return 0
}

// A commandRun is a number of neighbouring PDUs of a batch with the same command and
// the same action. They are summed up without a lock and counted under hub.mu, so
// counting a PDU costs little more than an addition.
type commandRun struct {
	command pdu.CommandID
	action  policy.Action
	pdus    uint32
	bytes   uint64
}

// maxCommandRuns bounds the memory that a seat keeps for them.
const maxCommandRuns = 256

// commandCounts is what peers sent of one command.
type commandCounts struct {
	actions [len(policy.Actions)]uint64 // PDUs, by the action of their verdict
	bytes   uint64
}

// A CommandStats is what peers sent of one command and the policy judged, since the
// hub was made.
type CommandStats struct {
	Command pdu.CommandID // 0 stands for all ids that are not known
	PDUs    uint64
	Bytes   uint64
	Actions map[policy.Action]uint64 // PDUs, by the action of their verdict
}

// joinCommandRun adds a PDU of n bytes to the last command run, if that has the same
// command and action.
func (r *reader) joinCommandRun(n int, command pdu.CommandID, action policy.Action) bool {
	if len(r.commandRuns) == 0 {
		return false
	}
	last := &r.commandRuns[len(r.commandRuns)-1]
	if last.command != command || last.action != action {
		return false
	}
	last.pdus++
	last.bytes += uint64(n)
	return true
}

// countCommands counts the reader's command runs, once. Called under mu.
func (h *Hub) countCommands(from *reader) {
	for _, r := range from.commandRuns {
		index := indexOf(r.command)
		c := &h.counts.commands[index]
		if index == 0 {
			if c = h.counts.countsOf(r.command); c == &h.counts.commands[0] {
				h.counts.countUnknown(r)
			}
		}
		c.actions[r.action] += uint64(r.pdus)
		c.bytes += r.bytes
		from.seat.pdusIn += uint64(r.pdus)
		from.seat.bytesIn += r.bytes
		h.counts.bytesIn += r.bytes
	}
	from.commandRuns = from.commandRuns[:0]
}

// maxCustom bounds the custom commands that are counted separately. It is more than there can be at a time,
// because those that a reload has replaced stay counted.
const maxCustom = 1024

// countsOf returns where a command without an index is counted. Called under mu.
func (c *counts) countsOf(id pdu.CommandID) *commandCounts {
	if one := c.custom[id]; one != nil {
		return one
	}
	if !id.IsCustom() || len(c.custom) == maxCustom {
		return &c.commands[0]
	}
	one := new(commandCounts)
	c.custom[id] = one
	return one
}

// maxUnknown bounds the unknown commands that are counted separately, twice: those whose
// first PDU was dropped, which a peer may have invented, and all others.
const maxUnknown = 64

// countUnknown counts a run of an unknown command by itself, if there is room. Called under
// mu.
func (c *counts) countUnknown(r commandRun) {
	if r.command == 0 { // stands for all of them
		return
	}
	one := c.unknown[r.command]
	if one == nil {
		room := &c.unknownRoom[0]
		if r.action != policy.Drop {
			room = &c.unknownRoom[1]
		}
		if *room == maxUnknown {
			return
		}
		*room++
		one = new(commandCounts)
		c.unknown[r.command] = one
	}
	one.actions[r.action] += uint64(r.pdus)
	one.bytes += r.bytes
}

// UnknownStats returns the statistics of single commands that are not known, in
// the order of their ids: of those that came first, while there was room. They are part of
// what CommandStats returns for id 0. A command that has become a custom one is not among them.
func (h *Hub) UnknownStats() (all []CommandStats) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(h.counts.unknown)) {
		if h.counts.custom[id] != nil {
			continue
		}
		all = append(all, h.counts.unknown[id].stats(id))
	}
	return all
}

// CommandStats returns the statistics of the commands that peers sent: in the order of
// pdu.Commands, and then those that are or were custom commands. PDUs that were dropped by Refuse are
// not included.
func (h *Hub) CommandStats() (all []CommandStats) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for index := range h.counts.commands {
		if one := h.counts.commands[index].stats(countedCommands[index]); one.PDUs > 0 {
			all = append(all, one)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(h.counts.custom)) {
		all = append(all, h.counts.custom[id].stats(id))
	}
	return all
}

// stats returns the counts as CommandStats of that command.
func (c *commandCounts) stats(of pdu.CommandID) CommandStats {
	one := CommandStats{Command: of, Bytes: c.bytes, Actions: make(map[policy.Action]uint64)}
	for action, n := range c.actions {
		if one.PDUs += n; n > 0 {
			one.Actions[policy.Action(action)] = n
		}
	}
	return one
}
