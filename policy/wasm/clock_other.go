//go:build !linux

package wasm

// loadTimeOf says in errors what threadClock measures.
const loadTimeOf = "time"

// threadClock is the only clock that works on every system.
var threadClock clock = elapsed
