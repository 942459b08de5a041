package main

import (
	"io"

	"github.com/spf13/cobra"

	"switchyard/deploy/wireshark"
)

// wiresharkCommand prints the Wireshark dissector. The file in deploy/wireshark lacks custom commands,
// which only the configuration knows.
func wiresharkCommand(o *options, stdout io.Writer) *cobra.Command {
	return o.named(&cobra.Command{
		Use:   "wireshark",
		Short: "Print the Wireshark dissector, with the names of custom commands",
		Long: "Print the dissector of TeamTalk's protocol for Wireshark and tshark, in Lua. It has the names of\n" +
			"the custom commands of the configuration. Write it into Wireshark's folder of personal Lua plugins,\n" +
			"which Help, About, Folders shows.\n\n" +
			"For the names of fields, add the folders of the .proto files to Wireshark's preferences: Protocols,\n" +
			"ProtoBuf, search paths, with \"Load all files\".",
		Example: "  switchyard wireshark > ~/.local/lib/wireshark/plugins/teamtalk.lua",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			text, err := wireshark.Dissector()
			if err != nil {
				return err
			}
			_, err = stdout.Write(text)
			return err
		},
	})
}
