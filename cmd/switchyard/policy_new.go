package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"switchyard/plugins/scaffold"
	"switchyard/plugins/toolchain"
	"switchyard/policy/suggest"
)

// policyNew makes the folder of a new policy, by package scaffold. An author sees it run before
// writing a line: the printed commands build it and serve with it.
func policyNew(_ *options, stdout, stderr io.Writer) *cobra.Command {
	var lang string
	var asJSON bool
	c := &cobra.Command{
		Use:   "new --lang LANGUAGE NAME",
		Short: "Make the folder of a new policy, which builds and runs as it is",
		Long: "Make the folder NAME with a new policy: TeamTalk's routes with an example of a rule, its\n" +
			"tests, a configuration to serve with it, and a copy of the SDK. It builds and runs as it\n" +
			"is, by the commands that are printed.\n\n" +
			"NAME is a small letter and up to 39 small letters, digits and hyphens.",
		Args: exactly("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			language, err := parseLanguage(lang)
			if err != nil {
				return err
			}
			if err := scaffold.New(".", args[0], language); errors.Is(err, scaffold.ErrName) {
				return usageError{err}
			} else if err != nil {
				return fmt.Errorf("make a policy: %w", err)
			}
			if asJSON {
				return printJSON(stdout, newPolicy{args[0], scaffold.Steps(args[0], language)})
			}
			fmt.Fprintf(stderr, "made the policy %s in %s/; continue with:\n", args[0], args[0])
			// The steps alone go to stdout, so that a shell can run them.
			for _, step := range scaffold.Steps(args[0], language) {
				fmt.Fprintln(stdout, step)
			}
			return nil
		},
	}
	c.Flags().StringVar(&lang, "lang", "", "`language` to write it in: "+languageNames())
	jsonFlag(c, &asJSON, "print JSON: the folder and the commands to continue with")
	return c
}

// A newPolicy is what policy new prints as JSON. Its names do not change. The steps are run in the
// folder in which the command was run.
type newPolicy struct {
	Folder string   `json:"folder"`
	Steps  []string `json:"steps"` // commands of a shell
}

// parseLanguage finds the language of the flag. There is no default, because a policy's author has to
// choose. A routing table is one of the languages.
func parseLanguage(lang string) (toolchain.Language, error) {
	if lang == "" {
		return "", usageError{errors.New("new needs a language: write --lang and one of " + languageNames())}
	}
	known := languages()
	if !slices.Contains(known, lang) {
		return "", usageError{fmt.Errorf("there is no language %q; %s", lang, suggest.Hint(lang, known, "it is one of "+languageNames()))}
	}
	return toolchain.Language(lang), nil
}

// languageNames lists the languages, for help and errors.
func languageNames() string { return strings.Join(languages(), ", ") }

func languages() (names []string) {
	for _, l := range toolchain.Languages {
		names = append(names, string(l))
	}
	return names
}
