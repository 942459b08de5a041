//go:build full

package main

// full says that every tool is there that CONTRIBUTING.md lists, so that a test that needs one
// fails without it, and that tests may take minutes.
const full = true
