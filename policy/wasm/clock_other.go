//go:build !linux

package wasm

// loadTimeOf says in errors what threadClock measures.
const loadTimeOf = "time"

// threadClock is the best clock that there is.
var threadClock clock = elapsed
