package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/client"
	"switchyard/cmd/switchyard/contexts"
)

// These commands work on one file of the user and never ask a server:
//
//	add, use, remove   read the file, change it, replace it whole
//	list, show         read it
//
// The context "local" is the server of the configuration on this machine. It is not in the file, so
// it can be neither added nor removed. It is the current one while the file names none.

// contextCommand holds the commands about named servers.
func contextCommand(o *options, stdout io.Writer) *cobra.Command {
	c := group(&cobra.Command{
		Use:   "context",
		Short: "Name the servers that commands ask, and how to reach them",
		Long: "Name the servers that commands ask, and how to reach them.\n\n" +
			"Contexts are in $XDG_CONFIG_HOME/switchyard/contexts.toml, else in ~/.config. They have the paths\n" +
			"of tokens and keys, and not their content. Under sudo the file is that of the HOME which sudo sets,\n" +
			"and stays with the owner of that folder. The context " + contexts.Local + " is the server that runs with the\n" +
			"configuration on this machine; it is the current one until 'switchyard context use'.",
	})
	c.AddCommand(contextAdd(o, stdout), contextList(o, stdout), contextUse(o, stdout), contextRemove(o, stdout), contextShow(o, stdout))
	return c
}

// A contextAnswer is what the commands print as JSON. Its names do not change.
type contextAnswer struct {
	Name    string `json:"name"`
	Current bool   `json:"current"`
	contexts.Context
}

// contextAnswers are what list prints as JSON.
type contextAnswers struct {
	Contexts []contextAnswer `json:"contexts"`
}

// contextAdd stores a context with absolute paths, as later commands run in other folders. A name
// that is taken needs --replace, so that a typing error overwrites nothing. The files that it names
// need not be there yet: who sets a machine up may copy tokens afterwards. Those that are there are
// checked.
func contextAdd(o *options, stdout io.Writer) *cobra.Command {
	var added contexts.Context
	var use, replace, asJSON bool
	c := &cobra.Command{
		Use:   "add NAME --server ADDRESS",
		Short: "Name a server, and how to reach it",
		Example: "  switchyard context add north --server https://hub-north.example.org:8281 \\\n" +
			"    --ca hub-ca.pem --token-file north.token --use",
		Args: exactly("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := contexts.CheckName(args[0]); err != nil {
				return usageError{err}
			}
			if added.Server == "" {
				return usageError{fmt.Errorf("add needs a server, as in 'switchyard context add %s --server https://hub.example.org:8281'", args[0])}
			}
			for _, path := range []*string{&added.TokenFile, &added.CA, &added.Cert, &added.Key} {
				if *path == "" {
					continue
				}
				var err error
				if *path, err = filepath.Abs(*path); err != nil {
					return err
				}
			}
			if err := cmp.Or(added.Check(), checkFiles(added)); err != nil {
				return usageError{err}
			}
			file, err := o.contexts()
			if err != nil {
				return err
			}
			if _, known := file.Context[args[0]]; known && !replace {
				return usageError{fmt.Errorf("there is a context %q already; choose another name, or add --replace", args[0])}
			}
			file.Context[args[0]] = added
			if use {
				file.Current = args[0]
			}
			if err := file.Write(); err != nil {
				return err
			}
			return show(stdout, asJSON, answerOf(file, args[0]), printContext)
		},
	}
	f := c.Flags()
	f.StringVar(&added.Server, "server", "", "`ADDRESS` of the admin interface: https://HOST:PORT, http://127.0.0.1:PORT or unix:PATH")
	f.StringVar(&added.TokenFile, "token-file", "", "`FILE` with the token")
	f.StringVar(&added.CA, "ca", "", "PEM `FILE` of the CAs that vouch for the server (default the system's)")
	f.StringVar(&added.Cert, "cert", "", "PEM `FILE` of the client's certificate, for mutual TLS")
	f.StringVar(&added.Key, "key", "", "PEM `FILE` of its private key")
	f.StringVar(&added.ServerName, "server-name", "", "`NAME` that the server's certificate must have (default the host of the address)")
	f.BoolVar(&use, "use", false, "make it the current context")
	f.BoolVar(&replace, "replace", false, "replace a context of that name")
	jsonFlag(c, &asJSON, "print JSON")
	return c
}

// checkFiles refuses the files of a context that are not what they should be. One that does not exist
// may come later.
func checkFiles(c contexts.Context) error {
	if info, err := os.Stat(c.TokenFile); err == nil && info.Mode().IsRegular() {
		if err := cmp.Or(client.CheckToken(c.TokenFile), contexts.CheckPrivate(c.TokenFile)); err != nil {
			return err
		}
	}
	if _, err := c.TLSConfig(); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// contextList prints all contexts, the local one first. Tokens and keys appear by the names of their
// files.
func contextList(o *options, stdout io.Writer) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "Print all contexts",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			file, err := o.contexts()
			if err != nil {
				return err
			}
			var all contextAnswers
			for _, name := range append([]string{contexts.Local}, file.Names()...) {
				all.Contexts = append(all.Contexts, answerOf(file, name))
			}
			return show(stdout, asJSON, all, printContexts)
		},
	}
	jsonFlag(c, &asJSON, "print JSON")
	return c
}

// contextUse makes a context the current one. From then on commands ask that server, also those that
// change something, so it prints which one it is.
func contextUse(o *options, stdout io.Writer) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:               "use NAME",
		Short:             "Make a context the one that commands use by default",
		Args:              exactly("NAME"),
		ValidArgsFunction: firstArgument(o.completeContexts),
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := o.contexts()
			if err != nil {
				return err
			}
			if err := known(file, args[0]); err != nil {
				return err
			}
			file.Current = args[0]
			if err := file.Write(); err != nil {
				return err
			}
			return show(stdout, asJSON, answerOf(file, args[0]), printContext)
		},
	}
	jsonFlag(c, &asJSON, "print JSON")
	return c
}

// contextRemove removes a context. If it was the current one, commands ask the server of the
// configuration from then on, and the output says so.
func contextRemove(o *options, stdout io.Writer) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:               "remove NAME",
		Short:             "Remove a context; the files that it names stay",
		Args:              exactly("NAME"),
		ValidArgsFunction: firstArgument(o.completeContexts),
		RunE: func(_ *cobra.Command, args []string) error {
			if args[0] == contexts.Local {
				return usageError{fmt.Errorf("%s is the server of the configuration on this machine, which is always there; name another context", contexts.Local)}
			}
			file, err := o.contexts()
			if err != nil {
				return err
			}
			if err := known(file, args[0]); err != nil {
				return err
			}
			removed := answerOf(file, args[0])
			delete(file.Context, args[0])
			note := ""
			if file.Current == args[0] {
				file.Current, note = "", "; the current one is "+contexts.Local
			}
			if err := file.Write(); err != nil {
				return err
			}
			return show(stdout, asJSON, removed, func(w io.Writer, a contextAnswer) error {
				_, err := fmt.Fprintf(w, "removed %s%s\n", a.Name, note)
				return err
			})
		},
	}
	jsonFlag(c, &asJSON, "print JSON: the context that was removed")
	return c
}

// contextShow prints one context, or the one that a command without --context would ask.
func contextShow(o *options, stdout io.Writer) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:               "show [NAME]",
		Short:             "Print a context, or the current one",
		Args:              optional("NAME"),
		ValidArgsFunction: firstArgument(o.completeContexts),
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := o.contexts()
			if err != nil {
				return err
			}
			name := cmp.Or(file.Current, contexts.Local)
			if len(args) == 1 {
				name = args[0]
			}
			if err := known(file, name); err != nil {
				return err
			}
			return show(stdout, asJSON, answerOf(file, name), printContext)
		},
	}
	jsonFlag(c, &asJSON, "print JSON")
	return c
}

// known returns an error, which suggests the nearest name, if the file has no context of that name.
func known(file *contexts.File, name string) error {
	if name == contexts.Local {
		return nil
	}
	if _, err := file.Find(name); err != nil {
		return usageError{err}
	}
	return nil
}

// answerOf returns the context of that name, which there is, as JSON has it.
func answerOf(file *contexts.File, name string) contextAnswer {
	a := contextAnswer{Name: name, Current: name == cmp.Or(file.Current, contexts.Local), Context: file.Context[name]}
	if name == contexts.Local {
		a.Server = "the configuration's"
	}
	return a
}

// printContexts prints a row for each context, with a star at the current one:
//
//	   NAME   SERVER                                TOKEN                   CA
//	*  local  the configuration's                   -                       -
//	   north  https://hub-north.example.org:8281    /home/anna/north.token  /home/anna/hub-ca.pem
func printContexts(w io.Writer, all contextAnswers) error {
	rows := [][]string{{"", "NAME", "SERVER", "TOKEN", "CA"}}
	for _, a := range all.Contexts {
		mark := ""
		if a.Current {
			mark = "*"
		}
		rows = append(rows, []string{mark, a.Name, a.Server, cmp.Or(a.TokenFile, "-"), cmp.Or(a.CA, "-")})
	}
	return columns(w, rows)
}

// printContext prints a line for each thing that is known of a context.
func printContext(w io.Writer, a contextAnswer) error {
	rows := [][]string{{"context", a.Name}, {"server", a.Server}}
	for _, row := range [][]string{{"token file", a.TokenFile}, {"ca", a.CA}, {"certificate", a.Cert}, {"key", a.Key}, {"server name", a.ServerName}} {
		if row[1] != "" {
			rows = append(rows, row)
		}
	}
	current := "no"
	if a.Current {
		current = "yes"
	}
	return columns(w, append(rows, []string{"current", current}))
}
