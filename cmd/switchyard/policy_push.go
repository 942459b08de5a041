package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/server"
	"switchyard/cmd/switchyard/trust"
	"switchyard/plugins/source"
	"switchyard/plugins/source/remote"
	"switchyard/policy/provenance"
)

// policyPush stores a policy in a registry. Servers fetch it by the tag (package source/remote), so
// what is pushed is checked as they will check it: a mistake would otherwise show in each of their
// logs.
//
//	readToPush ─▶ remote.Push ─▶ the digest, by which the policy can be named for good
func policyPush(o *options, stdout, _ io.Writer) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "push FILE oci://HOST/REPOSITORY[:TAG]",
		Short: "Store a policy and its signature in a registry",
		Long: "Store a policy, and FILE.sig if there is one, in a registry, and print the digest of its\n" +
			"manifest. A tag that exists is moved; without a tag only the digest names it.\n" +
			"registry.ca and registry.auth of the configuration apply. A registry on this machine is\n" +
			"asked without TLS. Servers whose policy is that tag fetch it within registry.poll.",
		Example: "  switchyard policy push routes.toml oci://registry.example.org/acme/routes:stable",
		Args:    exactly("FILE", "ADDRESS"),
		RunE: func(c *cobra.Command, args []string) error {
			// A digest is the result of a push and cannot be its place.
			if !strings.HasPrefix(args[1], "oci://") || strings.Contains(args[1], "@") {
				return usageError{fmt.Errorf("%q is not a place in a registry; write one such as oci://registry.example.org/acme/routes:stable", args[1])}
			}
			config, _, err := o.load()
			if err != nil {
				return err
			}
			f, signature, err := readToPush(args[0], args[1], int64(config.WASM.ModuleSize))
			if err != nil {
				return err
			}
			digest, err := remote.Push(c.Context(), args[1], f, signature, server.FetchOptions(config))
			if err != nil {
				return unavailableError{fmt.Errorf("push %s: %w", f.Name, err)}
			}
			if asJSON {
				return printJSON(stdout, struct {
					Digest string `json:"digest"`
				}{digest})
			}
			_, err = fmt.Fprintln(stdout, digest)
			return err
		},
	}
	jsonFlag(c, &asJSON, "print JSON")
	return c
}

// readToPush reads a policy and its signature, which a server that names the address could use. The
// policy's errors have exit code 78, those of the signature 65.
func readToPush(arg, address string, max int64) (source.File, []byte, error) {
	f, err := source.Read(source.Argument(arg), ".", max)
	if err != nil {
		return f, nil, err
	}
	if f.Path == "" {
		return f, nil, usageError{fmt.Errorf("%s is shipped with Switchyard; name a file", arg)}
	}
	// A table that does not compile would be refused only by the servers that fetch it.
	if _, err := f.Module(); err != nil {
		return f, nil, err
	}
	signature, err := trust.ReadSignature(f)
	if err != nil || signature == nil {
		return f, nil, err
	}
	e, err := provenance.ParseEnvelope(signature)
	if err != nil {
		return f, nil, dataError{err}
	}
	s, err := provenance.ParseStatement(e.Payload)
	if err != nil {
		return f, nil, dataError{err}
	}
	// A server takes the name of a policy from its address, and compares it with the statement.
	name := provenance.Name(address)
	switch {
	case s.SHA256 != f.SHA256:
		return f, nil, dataError{errors.New("its signature is about another content; sign it again")}
	case s.Name != name:
		return f, nil, dataError{fmt.Errorf("its signature is about a policy named %q, and this repository is named %q; sign it with --name %s", s.Name, name, name)}
	}
	return f, signature, nil
}
