package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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

// exactly requires one argument for each name. The names are those of the help text, in capitals.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			article := "a"
			if strings.ContainsAny(names[len(args)][:1], "AEIO") {
				article = "an"
			}
			return usageError{fmt.Errorf("%s needs %s %s; see '%s --help'", c.Name(), article, names[len(args)], c.CommandPath())}
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

// group makes c a command that does nothing itself, but has commands below it. Without one of them it
// is an error and not a help text, since a script that lacks a word must not succeed.
func group(c *cobra.Command) *cobra.Command {
	c.Args, c.SuggestionsMinimumDistance = knownCommand, 2
	c.RunE = func(c *cobra.Command, _ []string) error {
		return usageError{fmt.Errorf("%s what? See '%s --help'", c.Name(), c.CommandPath())}
	}
	return c
}

// knownCommand refuses words that are not a command, with the nearest one that is. It is the Args of
// commands that have others below them; cobra's own check would print the help text of the parent.
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

// refuseEmptyArguments makes the command and those below it refuse an empty argument or flag value,
// which is what a shell makes of "$HUB" if that is not set: --server "$HUB" would ask the server of
// this machine instead. Lists of names are left out: the command that reads a list refuses an empty
// name as unknown.
func refuseEmptyArguments(c *cobra.Command) {
	if accept := c.Args; accept != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := accept(c, args); err != nil {
				return err
			}
			if i := slices.Index(args, ""); i >= 0 {
				return usageError{fmt.Errorf("argument %d of %s is empty, as if a variable of the shell was not set; see '%s --help'", i+1, c.Name(), c.CommandPath())}
			}
			return emptyFlag(c)
		}
	}
	for _, sub := range c.Commands() {
		refuseEmptyArguments(sub)
	}
}

// emptyFlag refuses an empty value of a flag, unless that means something.
func emptyFlag(c *cobra.Command) (err error) {
	c.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" && f.Name != "reason" && f.Name != "hex" {
			err = usageError{fmt.Errorf("--%s is empty, as if a variable of the shell was not set; write a value, or leave it out; see '%s --help'", f.Name, c.CommandPath())}
		}
	})
	return err
}

// A singleValue is the value of a flag that may be given once. pflag itself lets the last one count, in
// silence.
type singleValue struct {
	pflag.Value
	given bool
}

var errGivenTwice = errors.New("given twice; keep one")

// Set implements pflag.Value.
func (v *singleValue) Set(text string) error {
	if v.given {
		return errGivenTwice
	}
	v.given = true
	return v.Value.Set(text)
}

// refuseRepeats makes the command and those below it refuse a flag that is given twice, except
// lists. Completion parses flags more than once, so it cannot have this.
func refuseRepeats(c *cobra.Command) {
	wrap := func(f *pflag.Flag) {
		_, isList := f.Value.(pflag.SliceValue)
		if _, isWrapped := f.Value.(*singleValue); isList || isWrapped {
			return
		}
		f.Value = &singleValue{Value: f.Value}
		if f.DefValue == "0s" {
			f.DefValue = "0" // else the help prints it, as it does not see a duration in a singleValue
		}
	}
	c.Flags().VisitAll(wrap)
	c.PersistentFlags().VisitAll(wrap)
	for _, sub := range c.Commands() {
		refuseRepeats(sub)
	}
}

// refuseUnknownTopics makes cobra's own commands, completion and help, refuse unknown words as all
// others do. They would print a help text and exit with 0.
func refuseUnknownTopics(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			group(c)
			for _, shell := range c.Commands() {
				shell.Args = noArguments
			}
		case "help":
			c.Args = func(_ *cobra.Command, args []string) error {
				about, rest, err := root.Find(args)
				if err != nil {
					return usageError{err}
				}
				return knownCommand(about, rest)
			}
		}
	}
}

// flagError is what is wrong with a flag, and what to do about it: pflag's own texts show how Go
// parses numbers, and suggest nothing.
func flagError(c *cobra.Command, err error) error {
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		if errors.Is(err, errGivenTwice) {
			return usageError{fmt.Errorf("--%s is %w; see '%s --help'", invalid.GetFlag().Name, errGivenTwice, c.CommandPath())}
		}
		if write := valuesOf[invalid.GetFlag().Value.Type()]; write != "" {
			return usageError{fmt.Errorf("--%s %q: write %s; see '%s --help'", invalid.GetFlag().Name, invalid.GetValue(), write, c.CommandPath())}
		}
	}
	hint := ""
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok && unknown.GetSpecifiedShortnames() == "" {
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := suggest.Word(unknown.GetSpecifiedName(), names); near != "" {
			hint = fmt.Sprintf(", did you mean --%s?", near)
		}
	}
	return usageError{fmt.Errorf("%w%s; see '%s --help'", err, hint, c.CommandPath())}
}

// valuesOf says what a flag takes, by pflag's name of its type. Other types take any text, or check it
// with a message of their own.
var valuesOf = map[string]string{
	"duration": "a time with its unit, such as 30s or 5m",
	"bool":     "true or false",
	"uint16":   "a whole number from 0 to 65535",
	"uint64":   "a whole number from 0 to 18446744073709551615",
	"int":      "a whole number",
}
