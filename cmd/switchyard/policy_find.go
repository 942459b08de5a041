package main

import (
	"fmt"
	"io"
	"time"

	"switchyard/cmd/switchyard/trust"
	"switchyard/plugins/source"
	"switchyard/policy/provenance"
	"switchyard/policy/wasm"
	"switchyard/proxy/config"
)

// findPolicy finds the policy that a command line argument names, for no particular tenant. If it has
// a signature file, the signature must be valid by the keys of the configuration that serve would
// use. A signed policy that was changed afterwards is thus noticed here, and not only by the server.
func (o *options) findPolicy(arg string, stderr io.Writer) (source.Module, error) {
	f, err := source.Read(source.Argument(arg), ".", wasm.DefaultLimits().ModuleBytes)
	if err != nil {
		return source.Module{}, err
	}
	if err := o.checkSigned(f, stderr); err != nil {
		return source.Module{}, err
	}
	return f.Module()
}

// checkSigned checks the signature of a policy's file, if there is one. Without keys it only warns:
// a developer's machine seldom has them. No tenant is given, so it may be signed for any.
func (o *options) checkSigned(f source.File, stderr io.Writer) error {
	if f.Path == "" {
		return nil
	}
	signature, err := trust.ReadSignature(f)
	if signature == nil {
		return err // and the configuration does not matter
	}
	keys, err := o.signatureKeys()
	if err != nil {
		return fmt.Errorf("policy %q is signed, and whose signatures count is not known: %w", f.Name, err)
	}
	finding, err := provenance.Check(f.SHA256, f.Name, signature, provenance.Rules{Keys: keys, Now: time.Now()})
	if finding.Warning != "" {
		fmt.Fprintf(stderr, "switchyard: warning: policy %q: %s\n", f.Name, finding.Warning)
	}
	return err
}

// signatureKeys returns the keys of the configuration. Its error is one about the configuration, so
// its exit code is 78.
func (o *options) signatureKeys() ([]provenance.Key, error) {
	c, _, err := o.load()
	if err != nil {
		return nil, err
	}
	keys, err := trust.New(c, nil).Keys()
	if err != nil {
		return nil, config.Faults{{Place: c.Place("signatures.keys"), Problem: "signatures.keys: " + err.Error()}}
	}
	return keys, nil
}
