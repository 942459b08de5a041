package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/schema"
	"switchyard/policy/suggest"
)

// schemaCommand prints a JSON Schema. Those in deploy/schema are written by it, without custom commands.
func schemaCommand(o *options, stdout io.Writer) *cobra.Command {
	kinds := []string{"config", "table", "cases"}
	return o.named(&cobra.Command{
		Use:   "schema config|table|cases",
		Short: "Print the JSON Schema of the configuration, of routing tables or of test cases, for editors",
		Long: `Print the JSON Schema of the configuration, config.toml, of routing tables, or of the test cases
of 'switchyard policy test'. Editors that know TOML and JSON Schema (such as VS Code with Even
Better TOML, and every editor that speaks to the language server taplo) complete keys by it, show
what each means, and mark mistakes.

It knows keys, types, ranges and forms. 'switchyard check' also knows what several keys mean
together, and what files contain. The schemas of tables and of test cases have the names of your
custom commands, of the configuration's [commands].`,
		Example: `  switchyard schema config > config.schema.json
  sed -i '1i #:schema ./config.schema.json' config.toml`,
		Args:      exactly("config|table|cases"),
		ValidArgs: kinds,
		RunE: func(_ *cobra.Command, args []string) error {
			var text []byte
			switch args[0] {
			case "config":
				text = schema.Config()
			case "table":
				text = schema.Table()
			case "cases":
				text = schema.Cases()
			default:
				return usageError{fmt.Errorf("there is no schema of %q; %s", args[0], suggest.Hint(args[0], kinds, "write config, table or cases"))}
			}
			_, err := stdout.Write(text)
			return err
		},
	})
}
