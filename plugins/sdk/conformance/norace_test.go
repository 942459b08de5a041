//go:build full && !race

package conformance

const raced = false
