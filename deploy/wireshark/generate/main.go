// Command generate writes the tables of names into the Wireshark dissector, from the
// packages that the server uses.
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"

	"switchyard/pdu"
	"switchyard/policy"
)

//go:generate go run . ../teamtalk.lua

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: generate FILE.lua")
	}
	name := os.Args[1]
	text, err := os.ReadFile(name)
	if err != nil {
		log.Fatal(err)
	}
	if text, err = update(text); err != nil {
		log.Fatalf("%s: %v", name, err)
	}
	if err := os.WriteFile(name+".new", text, 0o644); err != nil {
		log.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		log.Fatal(err)
	}
}

// The lines around the generated part of the dissector.
const (
	begin = "-- generated: begin\n"
	end   = "-- generated: end\n"
)

// update replaces the generated part of the dissector.
func update(text []byte) ([]byte, error) {
	before, rest, ok := bytes.Cut(text, []byte(begin))
	_, after, ended := bytes.Cut(rest, []byte(end))
	if !ok || !ended {
		return nil, fmt.Errorf("it lacks the lines %q and %q", begin, end)
	}
	return bytes.Join([][]byte{before, []byte(begin), tables(), []byte(end), after}, nil), nil
}

func tables() []byte {
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
		for _, c := range pdu.Commands {
			fmt.Fprintf(&b, "  [0x%04x] = %q,\n", uint16(c.ID), c.Name)
		}
	})
	table("messages", func() {
		for _, c := range pdu.Commands {
			fmt.Fprintf(&b, "  [0x%04x] = %q,\n", uint16(c.ID), c.Message)
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
		for i, kind := range []string{"PDU", "joined", "left"} {
			fmt.Fprintf(&b, "  [%d] = %q,\n", i, kind)
		}
	})
	return b.Bytes()
}
