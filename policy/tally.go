package policy

import (
	"cmp"
	"slices"

	"switchyard/pdu"
)

// A Tally counts the results of a stage's judgements. The lock of the stage's hub guards
// it; Hub.Weighed returns a copy.
type Tally struct {
	Sides  [3]uint64                  // numbers of PDUs, by the Side that was obeyed
	Rows   []Weights                  // by the hub's numbers of the protocol's commands; nil until the first PDU
	Custom map[pdu.CommandID]*Weights // of custom commands

	// Ended counts the sessions that ended while the stage was in force, of peers on the stable
	// generation's side and on the candidate's. Only if the unit is the connection.
	Ended [2]uint64

	CountAlike bool // also count PDUs and copies of rows that are not affected
}

// Copies counts a PDU once for each peer that receives it.
type Copies struct{ PDUs, Bytes uint64 }

// Add adds other counts.
func (c *Copies) Add(other Copies) {
	c.PDUs += other.PDUs
	c.Bytes += other.Bytes
}

// Weights compares both generations of a stage over the affected PDUs of one command. In
// each pair, index 0 is the stable generation and index 1 the candidate.
type Weights struct {
	PDUs        uint64    // affected PDUs
	Side        [2]uint64 // of those, by the generation that was obeyed; the sum is PDUs
	Unweighed   uint64    // of those, not compared: too costly, or the user table was in use
	Differ      uint64    // both generations gave different verdicts
	Failed      [2]uint64 // PDUs on which the generation failed
	Faults      uint64    // the candidate failed by its own code, and the stable generation did not
	Closes      uint64    // the candidate closes the sender, and the stable generation does not
	Presence    uint64    // only one of them handles the PDU as a change of presence
	Undelivered uint64    // the stable generation sends at least one copy, and the candidate none
	Copies      [2]Copies // copies that each would have sent of the weighed PDUs
	Inspected   [2]uint64 // calls of an inspection function
	Fuel        [2]uint64 // fuel that those calls used
	HighFuel    uint64    // inspections by the candidate that used more than half of what a decision may

	Only [2]Copies // copies that only this generation would have sent

	// Counts for rows that are not affected; only if CountAlike is set.
	Alike  uint64
	Copied Copies
}

// Add adds the counts of another command or stage.
func (w *Weights) Add(other *Weights) {
	w.PDUs += other.PDUs
	w.Unweighed += other.Unweighed
	w.Differ += other.Differ
	w.Faults += other.Faults
	w.Closes += other.Closes
	w.Presence += other.Presence
	w.Undelivered += other.Undelivered
	w.HighFuel += other.HighFuel
	for i := range 2 {
		w.Side[i] += other.Side[i]
		w.Failed[i] += other.Failed[i]
		w.Copies[i].Add(other.Copies[i])
		w.Only[i].Add(other.Only[i])
		w.Inspected[i] += other.Inspected[i]
		w.Fuel[i] += other.Fuel[i]
	}
	w.Alike += other.Alike
	w.Copied.Add(other.Copied)
}

// Weighed is a copy of a Tally.
type Weighed struct {
	Alike, ByStable, ByCandidate uint64 // numbers of PDUs, by the generation that was obeyed
	Commands                     []CommandWeights
	Ended                        [2]uint64 // see Tally
}

// Add adds the counts of another stage. The commands stay in the order of their ids.
func (w *Weighed) Add(other Weighed) {
	w.Alike += other.Alike
	w.ByStable += other.ByStable
	w.ByCandidate += other.ByCandidate
	w.Ended[0] += other.Ended[0]
	w.Ended[1] += other.Ended[1]
	for _, c := range other.Commands {
		i, known := slices.BinarySearchFunc(w.Commands, c.Command, func(x CommandWeights, id pdu.CommandID) int { return cmp.Compare(x.Command, id) })
		if !known {
			w.Commands = slices.Insert(w.Commands, i, CommandWeights{Command: c.Command})
		}
		w.Commands[i].Add(&c.Weights)
	}
}

// Sum returns the counts of all commands together.
func (w *Weighed) Sum() (all Weights) {
	for i := range w.Commands {
		all.Add(&w.Commands[i].Weights)
	}
	return all
}

// CommandWeights are the Weights of one command.
type CommandWeights struct {
	Command pdu.CommandID // see CommandName
	Weights
}

// CommandName returns the name of a command in what is counted by commands, where 0 stands for
// all ids that the protocol does not define.
func CommandName(c pdu.CommandID) string {
	if c == 0 {
		return "unknown"
	}
	return c.String()
}
