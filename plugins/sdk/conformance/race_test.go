//go:build full && race

package conformance

// raced tells that the engine compiles guests ten times as slowly, under the race detector.
const raced = true
