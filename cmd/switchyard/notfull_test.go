//go:build !full

package main

// full says that tests may need other tools than Go.
const full = false
