package main

import (
	"io"
	"slices"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The value of a flag is named by what it means, not by its type in Go.
func TestHelpNamesNoTypesOfGo(t *testing.T) {
	t.Parallel()
	types := []string{"string", "strings", "stringArray", "int", "ints", "uint", "uints", "float"}
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if name, _ := pflag.UnquoteUsage(f); slices.Contains(types, name) {
				t.Errorf("%s: --%s %s: name its value in backquotes in the flag's usage", c.CommandPath(), f.Name, name)
			}
		})
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(rootCommand(nil, io.Discard, io.Discard))
}
