package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"switchyard/policy/suggest"
)

// What words a command takes behind its name. A wrong number of them is a usageError that says where
// the help is.

// noArguments refuses words after a command that takes none, such as a flag without its hyphens.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no argument %q; see '%s --help'", c.Name(), args[0], c.CommandPath())}
	}
	return nil
}

// exactly requires one argument for each name.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usageError{fmt.Errorf("%s needs a %s; see '%s --help'", c.Name(), names[len(args)], c.CommandPath())}
		case len(args) > len(names):
			return usageError{fmt.Errorf("%s takes no argument %q; see '%s --help'", c.Name(), args[len(names)], c.CommandPath())}
		}
		return nil
	}
}

// optional permits one argument of that name.
func optional(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return exactly(name)(c, args)
		}
		return nil
	}
}

// some requires at least one argument of that name.
func some(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return exactly(name)(c, args)
		}
		return nil
	}
}

// group makes c a command that does nothing itself, but has commands below it.
func group(c *cobra.Command) *cobra.Command {
	c.Args, c.SuggestionsMinimumDistance = knownCommand, 2
	c.RunE = func(c *cobra.Command, _ []string) error {
		return usageError{fmt.Errorf("%s what? See '%s --help'", c.Name(), c.CommandPath())}
	}
	return c
}

// knownCommand refuses words that are no command, with the nearest one that is.
func knownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	hint := ""
	if near := suggest.Word(args[0], names); near != "" {
		hint = fmt.Sprintf(", did you mean %q?", near)
	}
	return usageError{fmt.Errorf("unknown command %q%s; see '%s --help'", args[0], hint, c.CommandPath())}
}
