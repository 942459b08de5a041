// Command generate writes the tables of names into the Wireshark dissector, from the packages that
// the server uses. 'go generate' runs it, and a test fails if the file is stale. The file is replaced
// as a whole, so that an error leaves the one before.
package main

import (
	"log"
	"os"

	"switchyard/deploy/wireshark"
	"switchyard/pdu"
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
	if text, err = wireshark.Update(text, pdu.Commands); err != nil {
		log.Fatalf("%s: %v", name, err)
	}
	if err := os.WriteFile(name+".new", text, 0o644); err != nil {
		log.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		log.Fatal(err)
	}
}
