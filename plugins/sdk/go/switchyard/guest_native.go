//go:build !wasm

package switchyard

import "fmt"

// Log writes a line to standard output; in the server, to the server's log.
func Log(level int32, text string) { fmt.Println(level, text) }
