//go:build full && race

package conformance

// raced: the engine's own compiler takes ten times as long under the race detector.
const raced = true
