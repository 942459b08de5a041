//go:build full || race

package main

import "testing"

// These scripts compile many policies.
func TestScriptsThatCompile(t *testing.T) {
	t.Parallel()
	runScripts(t, "testdata/script_long")
}
