package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"switchyard/policy/sanitize"
	"switchyard/policy/stablefile"
	"switchyard/policy/statefolder"
	"switchyard/policy/tomlfmt"
	"switchyard/policy/tomlpos"
)

// maxFormatted is the largest file that policy fmt formats, in bytes. Tables and cases that are
// larger than that are refused by whoever reads them.
const maxFormatted = 1 << 20

// formatOptions are the flags of policy fmt.
type formatOptions struct {
	check, diff, asJSON bool
}

// policyFmt formats routing tables and files of cases. Package tomlfmt decides how; this file reads,
// compares and replaces files, and has the modes of gofmt: write, --check and --diff.
func policyFmt(_ *options, stdout, _ io.Writer) *cobra.Command {
	var f formatOptions
	c := &cobra.Command{
		Use:   "fmt FILE...",
		Short: "Format routing tables and files of cases",
		Long: "Format routing tables and files of cases, and print the names of the files that were changed.\n" +
			"Comments, rows, their order and unknown keys stay as they are; = and comments are aligned. With\n" +
			"- as the only FILE, standard input is formatted to standard output.\n\n" +
			"With --check nothing is written, and the exit code is 1 if a file is not formatted. With --diff\n" +
			"the changes are printed instead.",
		Example: "  switchyard policy fmt routes.toml cases.toml\n  switchyard policy fmt --check *.toml",
		Args:    some("FILE"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"toml"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "-" {
				return f.filter(c.InOrStdin(), stdout)
			}
			return f.files(args, stdout)
		},
	}
	c.Flags().BoolVar(&f.check, "check", false, "write nothing, and exit with 1 if a file is not formatted")
	c.Flags().BoolVar(&f.diff, "diff", false, "write nothing, and print the changes")
	jsonFlag(c, &f.asJSON, "print JSON: the files that are not formatted, or were not")
	return c
}

// A formatReport is what policy fmt prints as JSON. Its names do not change.
type formatReport struct {
	Files []formattedFile `json:"files"`
}

// A formattedFile is a file that differs from its one form. Files that do not are not mentioned.
type formattedFile struct {
	File    string `json:"file"`
	Written bool   `json:"written"`
	Diff    string `json:"diff,omitempty"` // with --diff
}

// filter formats standard input, as editors do it: the text goes in and out by pipes, and an error
// leaves the editor's text as it is. Its name in a report is "standard input".
func (f *formatOptions) filter(in io.Reader, out io.Writer) error {
	text, err := io.ReadAll(io.LimitReader(in, maxFormatted+1))
	if err != nil {
		return dataError{fmt.Errorf("standard input: %w", err)}
	}
	formatted, err := format("standard input", text)
	if err != nil {
		return err
	}
	if !f.check && !f.diff && !f.asJSON {
		_, err := out.Write(formatted)
		return err
	}
	r := formatReport{Files: []formattedFile{}}
	r.add("standard input", text, formatted, f.diff)
	return f.print(out, r)
}

// files formats files. A file that cannot be formatted does not keep the others from it.
func (f *formatOptions) files(names []string, out io.Writer) error {
	r, faults := formatReport{Files: []formattedFile{}}, []error(nil)
	if slices.Contains(names, "-") {
		return usageError{errors.New("- is standard input, which is formatted alone; leave out the other files")}
	}
	for _, name := range names {
		text, err := stablefile.Read(name, 0, maxFormatted)
		if err != nil {
			faults = append(faults, dataError{err})
			continue
		}
		formatted, err := format(name, text)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if !r.add(name, text, formatted, f.diff) || f.check || f.diff {
			continue
		}
		if err := writeKeepingMode(name, text, formatted); err != nil {
			faults = append(faults, fmt.Errorf("write %s: %w", name, err))
			continue
		}
		r.Files[len(r.Files)-1].Written = true
	}
	faults = append(faults, f.print(out, r))
	return errors.Join(faults...)
}

// format returns the one form of a file; the error is a dataError.
func format(name string, text []byte) ([]byte, error) {
	if len(text) > maxFormatted {
		return nil, dataError{fmt.Errorf("%s has more than %d bytes; is it the right file?", name, maxFormatted)}
	}
	if err := stablefile.CheckMark(text); err != nil {
		return nil, dataError{fmt.Errorf("%s: %w", name, err)}
	}
	formatted, err := tomlfmt.Format(string(text))
	if syntax, ok := errors.AsType[*tomlpos.SyntaxError](err); ok {
		return nil, dataError{fmt.Errorf("%s:%d: not TOML: %s; %s", name, max(1, syntax.Line), syntax.What, cmp.Or(syntax.Remedy, "correct that first"))}
	}
	if err != nil {
		return nil, dataError{fmt.Errorf("%s: %w", name, err)}
	}
	return []byte(formatted), nil
}

// writeKeepingMode replaces a file and keeps its owner and permissions: the server, which has a user
// of its own, has to read it as before. A file that no longer has the text before stays: an editor
// has saved it meanwhile.
func writeKeepingMode(name string, before, content []byte) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	return replaceFile(name, content, func(f *os.File) error {
		if err := statefolder.KeepOwner(f, info); err != nil {
			return fmt.Errorf("%w; run it as the owner of the file", err)
		}
		if now, err := stablefile.Read(name, 0, maxFormatted); err != nil || !bytes.Equal(now, before) {
			return errors.Join(err, errors.New("it was changed meanwhile; format it again"))
		}
		return f.Chmod(info.Mode().Perm())
	})
}

// add adds a file to the report if it differs from its one form, and reports whether it does.
func (r *formatReport) add(name string, text, formatted []byte, withDiff bool) bool {
	if bytes.Equal(text, formatted) {
		return false
	}
	file := formattedFile{File: name}
	if withDiff {
		file.Diff = string(diff.Diff(name, text, name, formatted))
	}
	r.Files = append(r.Files, file)
	return true
}

// print prints the report. With --check, its error says that there is a file in it.
func (f *formatOptions) print(out io.Writer, r formatReport) error {
	var text strings.Builder
	for _, file := range r.Files {
		switch {
		case f.diff:
			text.WriteString(sanitize.Lines(file.Diff))
		case file.Written || f.check:
			text.WriteString(sanitize.Text(file.File) + "\n")
		}
	}
	err := show(out, f.asJSON, r, func(w io.Writer, _ formatReport) error {
		_, err := io.WriteString(w, text.String())
		return err
	})
	if err == nil && f.check && len(r.Files) > 0 {
		err = errSilent
	}
	return err
}
