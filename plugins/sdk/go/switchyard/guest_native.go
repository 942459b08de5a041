//go:build !wasm

package switchyard

import "fmt"

// Log writes a line to the server's log; outside of the server to standard output.
func Log(level int32, text string) { fmt.Println(level, text) }
