package main

import (
	"bytes"
	"os"
	"testing"
)

const dissector = "../teamtalk.lua"

// The tables in the dissector are those that would be generated now.
func TestTablesAreFresh(t *testing.T) {
	text, err := os.ReadFile(dissector)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := update(text)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, fresh) {
		t.Errorf("%s is stale; run go generate ./deploy/wireshark/generate", dissector)
	}
	for _, damaged := range []string{"", begin, end + begin} {
		if _, err := update([]byte(damaged)); err == nil {
			t.Errorf("%q has been updated", damaged)
		}
	}
}
