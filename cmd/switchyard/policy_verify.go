package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/trust"
	"switchyard/plugins/source"
	"switchyard/policy/provenance"
	"switchyard/policy/wasm"
	"switchyard/proxy/config"
)

// verifyOptions are the flags of policy verify.
type verifyOptions struct {
	keys   []string
	tenant string
	asJSON bool
}

// policyVerify verifies a policy's signature. It uses the checks of the server (package trust), so
// that it cannot say yes where the server says no.
func policyVerify(o *options, stdout, _ io.Writer) *cobra.Command {
	var v verifyOptions
	c := &cobra.Command{
		Use:   "verify POLICY",
		Short: "Verify the signature of a policy",
		Long: "Verify the signature of a policy, by the keys of the configuration or those named, and print\n" +
			"what it states. With --tenant, all that the tenant requires is checked as well: pin, name,\n" +
			"and no lower version than was in force. Exits with 0 if it may be used, else with 65.",
		Args: exactly("POLICY"),
		RunE: func(_ *cobra.Command, args []string) error {
			result, err := v.run(o, args[0])
			if result == nil {
				return err
			}
			return errors.Join(show(stdout, v.asJSON, result, printVerification), err)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&v.keys, "key", nil, "`FILE` of public keys, in PEM, instead of the configuration's; may be repeated")
	f.StringVar(&v.tenant, "tenant", "", "`name` of the tenant that is to use it")
	jsonFlag(c, &v.asJSON, "print JSON")
	return c
}

// A verification is what policy verify prints as JSON. Its names do not change.
//
//	policy      its name on the command line
//	sha256      of its file
//	verified    whether it may be used
//	refusal     why not: gate and error; or null
//	statement   what its signature file states, verified or not; or null
//	signatures  each with its key id, whether that key is known, and whether the signature is valid
//	warning     for a policy that may be used all the same
type verification struct {
	Policy     string                `json:"policy"`
	SHA256     string                `json:"sha256"`
	Verified   bool                  `json:"verified"`
	Refusal    *refusal              `json:"refusal"`
	Statement  *provenance.Statement `json:"statement"`
	Signatures []checkedSignature    `json:"signatures"`
	Warning    string                `json:"warning,omitempty"`
	shipped    bool
}

// A refusal is the gate that the policy did not pass, with the remedy in the text.
type refusal struct {
	Gate  wasm.Gate `json:"gate"`
	Error string    `json:"error"`
}

// A checkedSignature is one signature of the file. It counts only if its key is known and it
// fits.
type checkedSignature struct {
	KeyID string `json:"keyid"`
	Known bool   `json:"known"`
	Fits  bool   `json:"fits"`
}

// run verifies a policy as the server would for that tenant. With an error there can be a result,
// which says what the signature file states, and is printed as well.
func (v *verifyOptions) run(o *options, arg string) (*verification, error) {
	t, tenant, err := v.checker(o)
	if err != nil {
		return nil, err
	}
	f, err := source.Read(source.Argument(arg), ".", wasm.DefaultLimits().ModuleBytes)
	if err != nil {
		return nil, dataError{err}
	}
	result := &verification{Policy: f.Name, SHA256: f.SHA256, Signatures: []checkedSignature{}, shipped: f.Path == ""}
	if !result.shipped {
		keys, err := t.Keys()
		if err != nil {
			return nil, dataError{err}
		}
		if len(keys) == 0 {
			return nil, usageError{errors.New("there are no keys to verify it by; name their files by --key or in signatures.keys")}
		}
		result.addSignatures(f, keys)
	}
	// It says why not by a GateError, whose gate and remedy are in the result as well.
	p, err := t.Prove(f, tenant, provenance.Rules{Pin: tenant.PolicySHA256, Required: true, DowngradeTo: uint64(tenant.DowngradeTo)})
	result.Verified, result.Warning = err == nil, p.Warning
	if gate, ok := errors.AsType[*wasm.GateError](err); ok {
		result.Refusal = &refusal{gate.Gate, fmt.Sprintf("%v; %s", gate.Err, gate.Remedy)}
	}
	if err != nil {
		return result, dataError{err}
	}
	return result, nil
}

// checker returns the checker by the configuration and the tenant to check for. What the flags say is
// not read from the configuration: with --key and without --tenant, none is needed.
func (v *verifyOptions) checker(o *options) (*trust.Checker, config.Tenant, error) {
	c := config.Default()
	if len(v.keys) == 0 || v.tenant != "" {
		var err error
		if c, _, err = o.load(); err != nil {
			return nil, config.Tenant{}, err
		}
	}
	tenant, ok := c.Tenant(v.tenant)
	if !ok && v.tenant != "" && c.Path != "" {
		return nil, config.Tenant{}, usageError{fmt.Errorf("--tenant %s: %s has no tenant of that name; add it there, or name another", v.tenant, c.Path)}
	}
	tenant.Name = v.tenant // also of one that this machine does not know
	ledger, _ := trust.OpenLedger(c)
	t := trust.New(c, ledger)
	if len(v.keys) > 0 {
		t.Keys = func() ([]provenance.Key, error) { return provenance.ReadKeys(v.keys...) }
	}
	return t, tenant, nil
}

// addSignatures adds what the signature file says, as far as it can be read. It says nothing about
// whether the policy may be used: that is the result of Prove.
func (r *verification) addSignatures(f source.File, keys []provenance.Key) {
	e, statement, err := readEnvelope(provenance.SignatureFile(f.Path))
	if e == nil {
		return // the refusal says why
	}
	if err == nil {
		r.Statement = statement
	}
	for _, x := range e.Examine(keys) {
		r.Signatures = append(r.Signatures, checkedSignature{x.KeyID, x.Key != nil, x.Fits})
	}
}

// printVerification prints a line for each fact, and a line for each signature with what it is worth.
func printVerification(w io.Writer, r *verification) error {
	rows := [][]string{{"policy", r.Policy}, {"sha256", r.SHA256}}
	if r.shipped {
		rows = append(rows, []string{"signed", "with Switchyard, which it is shipped with"})
	}
	if s := r.Statement; s != nil {
		rows = append(rows, []string{"name", s.Name}, []string{"version", fmt.Sprint(s.Version)}, []string{"tenants", strings.Join(s.Tenants, ", ")},
			[]string{"valid", s.NotBefore.UTC().Format(time.RFC3339) + " to " + s.Expires.UTC().Format(time.RFC3339)})
	}
	for _, s := range r.Signatures {
		says := "unknown key"
		if s.Known {
			says = "does not fit"
		}
		if s.Fits {
			says = "fits"
		}
		rows = append(rows, []string{"key", fmt.Sprintf("%.40s  %s", s.KeyID, says)})
	}
	if r.Warning != "" {
		rows = append(rows, []string{"warning", r.Warning})
	}
	result := "verified"
	if !r.Verified {
		result = "refused at the " + string(r.Refusal.Gate) + " gate"
	}
	return columns(w, append(rows, []string{"result", result}))
}
