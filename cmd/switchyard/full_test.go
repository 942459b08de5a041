//go:build full

package main

// full says that every tool is there that CONTRIBUTING.md lists: a test that needs one
// fails without it.
const full = true
