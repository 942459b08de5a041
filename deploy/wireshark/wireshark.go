// Package wireshark is the Wireshark dissector, teamtalk.lua, whose tables of names it writes.
//
// The dissector is one file that a user copies to Wireshark. Most of it is written by hand; the
// tables between two lines are generated from the packages of the server, so that names are the same
// in a log and in Wireshark. 'switchyard wireshark' fills them in again, with custom commands.
package wireshark

import (
	"bytes"
	_ "embed" // the dissector
	"fmt"

	"switchyard/pdu"
	"switchyard/policy"
)

//go:embed teamtalk.lua
var dissector []byte

// Dissector returns the dissector with the names of all commands that are known, also custom ones.
func Dissector() ([]byte, error) { return Update(dissector, pdu.KnownCommands()) }

// The lines around the generated part of the dissector.
const (
	begin = "-- generated: begin\n"
	end   = "-- generated: end\n"
)

// Update replaces the generated part of a dissector's text, with the names of these commands.
func Update(text []byte, commands []pdu.Command) ([]byte, error) {
	before, rest, ok := bytes.Cut(text, []byte(begin))
	_, after, ended := bytes.Cut(rest, []byte(end))
	if !ok || !ended {
		return nil, fmt.Errorf("it lacks the lines %q and %q", begin, end)
	}
	return bytes.Join([][]byte{before, []byte(begin), tables(commands), []byte(end), after}, nil), nil
}

// tables returns the generated part: Lua tables from numbers to names. Services, commands and
// messages are those of PDUs. Kinds, actions and faults are those of the records of a capture, in the
// order of their numbers there.
func tables(commands []pdu.Command) []byte {
	var b bytes.Buffer
	table := func(name string, rows func()) {
		fmt.Fprintf(&b, "local %s = {\n", name)
		rows()
		b.WriteString("}\n")
	}
	table("services", func() {
		for s := pdu.SID_LOGIN; s <= pdu.SID_INTERNAL; s++ {
			fmt.Fprintf(&b, "  [0x%04x] = %q,\n", uint16(s), s)
		}
	})
	table("commands", func() {
		for _, c := range commands {
			fmt.Fprintf(&b, "  [0x%04x] = %q,\n", uint16(c.ID), c.Name)
		}
	})
	table("messages", func() {
		for _, c := range commands {
			if c.Message != "" {
				fmt.Fprintf(&b, "  [0x%04x] = %q,\n", uint16(c.ID), c.Message)
			}
		}
	})
	table("actions", func() {
		for i, action := range policy.Actions {
			fmt.Fprintf(&b, "  [%d] = %q,\n", i, action)
		}
	})
	table("faults", func() {
		fmt.Fprintf(&b, "  [0] = \"none\",\n")
		for i, kind := range policy.FaultKinds {
			fmt.Fprintf(&b, "  [%d] = %q,\n", i+1, kind)
		}
	})
	table("kinds", func() {
		for i, kind := range []string{"PDU", "joined", "left", "grouped"} {
			fmt.Fprintf(&b, "  [%d] = %q,\n", i, kind)
		}
	})
	return b.Bytes()
}
