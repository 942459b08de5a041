//go:build !full

package main

// full is false: no test may need other tools than Go, or minutes.
const full = false
