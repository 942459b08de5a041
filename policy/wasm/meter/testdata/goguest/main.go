// A guest of stock Go, which the tests build, rewrite and run.
package main

import "encoding/json"

type rules struct {
	Name  string
	Rules []struct {
		Command int
		To      []string
		Options map[string]any
	}
}

const text = `{"name":"x","rules":[{"command":5,"to":["a","b"],"options":{"a":[1,2,{"b":null}]}},{"command":6,"to":[]}]}`

//go:wasmexport classify
func classify(service, command int32) int64 {
	switch command {
	case 0x0301:
		return 4
	case 0x0215:
		return 5
	}
	return 0
}

// parse takes JSON apart and puts it together again, and returns its length.
//
//go:wasmexport parse
func parse() int32 {
	var r rules
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return -1
	}
	out, err := json.Marshal(r)
	if err != nil {
		return -2
	}
	return int32(len(out))
}

//go:wasmexport spin
func spin() {
	for {
	}
}

func main() {}
