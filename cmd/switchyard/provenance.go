package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"switchyard/plugins/source"
	"switchyard/policy/provenance"
	"switchyard/policy/wasm"
	"switchyard/proxy/config"
)

// trust is whose word on policies counts: what the configuration says, and the
// versions that were in force.
type trust struct {
	config *config.Config
	ledger *provenance.Ledger
	keys   func() ([]provenance.Key, error) // reads their files, which may have changed since
	now    func() time.Time
}

func newTrust(c *config.Config, l *provenance.Ledger) *trust {
	return &trust{config: c, ledger: l, now: time.Now, keys: func() ([]provenance.Key, error) {
		var paths []string
		for _, path := range c.Signatures.Keys {
			paths = append(paths, c.File(path))
		}
		return provenance.ReadKeys(paths...)
	}}
}

// openLedger returns the ledger in the folder of signatures.state. A warning says
// that it is kept in this process alone, though it should not be.
func openLedger(c *config.Config) (l *provenance.Ledger, warning error) {
	folder := c.File(c.Signatures.State)
	if c.Signatures.State == "auto" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return provenance.NewLedger(""), fmt.Errorf("which signed versions were in force is forgotten at exit; set signatures.state to a folder: %w", err)
		}
		folder = filepath.Join(cache, "switchyard", "signatures")
	}
	return provenance.NewLedger(folder), nil
}

// A proof is what is known of a tenant's policy that was not refused.
type proof struct {
	provenance.Finding
	rules  provenance.Rules
	policy string // the name that its versions are remembered by
}

// policy finds the policy of a tenant, if its pin and its signature let it in. The
// error is a *wasm.GateError.
func (t *trust) policy(tenant config.Tenant) (source.Module, proof, error) {
	return t.find(tenant.Policy, tenant, provenance.Rules{Pin: tenant.PolicySHA256, DowngradeTo: uint64(tenant.DowngradeTo)}, t.ledger)
}

// audit finds the policy that is audited for a tenant, likewise. The pin is of the
// other one, and what is only asked may be of any version.
func (t *trust) audit(tenant config.Tenant) (source.Module, proof, error) {
	return t.find(tenant.Audit, tenant, provenance.Rules{}, provenance.NewLedger(""))
}

func (t *trust) find(name string, tenant config.Tenant, r provenance.Rules, l *provenance.Ledger) (source.Module, proof, error) {
	f, err := source.Read(name, filepath.Dir(t.config.Path), int64(t.config.WASM.ModuleSize))
	if err != nil {
		return source.Module{}, proof{}, err
	}
	p, err := t.prove(f, tenant, r, l)
	if err != nil {
		return source.Module{}, proof{}, err
	}
	m, err := f.Module()
	return m, p, err
}

// prove holds a file against the rules, which it completes. A shipped policy came
// with the program and is signed if that is: only its pin counts.
func (t *trust) prove(f source.File, tenant config.Tenant, r provenance.Rules, l *provenance.Ledger) (proof, error) {
	name := provenance.Name(f.Name)
	if f.Path == "" {
		finding, err := provenance.Check(f.SHA256, f.Name, nil, provenance.Rules{Pin: r.Pin})
		return proof{finding, r, name}, err
	}
	var err error
	if r.Keys, err = t.keys(); err != nil {
		return proof{}, provenance.Refuse(provenance.GateSignature, f.Name, "correct signatures.keys", "%w", err)
	}
	if len(r.Keys) > 0 {
		if r.Floor, err = l.Floor(tenant.Name, name); err != nil {
			return proof{}, provenance.Refuse(provenance.GateVersion, f.Name, "restore that file, or remove it: then every version is let in once more",
				"which versions were in force is not known: %w", err)
		}
	}
	r.Tenant, r.Required, r.Now = tenant.Name, r.Required || tenant.RequireSignature, t.now()
	signature, err := signatureOf(f)
	if err != nil {
		return proof{}, err
	}
	finding, err := provenance.Check(f.SHA256, f.Name, signature, r)
	return proof{finding, r, name}, err
}

// signatureOf returns the content of a file's signature file, or nil.
func signatureOf(f source.File) ([]byte, error) {
	signature, err := provenance.ReadSignature(provenance.SignatureFile(f.Path))
	if err != nil {
		return nil, provenance.Refuse(provenance.GateSignature, f.Name, "make its signature file readable, or sign it anew", "%w", err)
	}
	return signature, nil
}

// inForce remembers the version of a policy that is in force from now on. An error
// says that the ledger does so in this process alone.
func (p proof) inForce(l *provenance.Ledger) error {
	if !p.Verified() {
		return nil
	}
	return l.Record(p.rules.Tenant, p.policy, p.Statement.Version, p.rules.DowngradeTo)
}

// expires returns when the signature that let the policy in expires, and when to warn
// of that; ok is false for a policy without.
func (p proof) expires() (soon, at time.Time, ok bool) {
	if !p.Verified() {
		return time.Time{}, time.Time{}, false
	}
	return p.Statement.Soon(), p.Statement.Expires, true
}

// warnings says what operators should know of a policy that was let in.
func (p proof) warnings(now time.Time) []string {
	var list []string
	if p.Warning != "" {
		list = append(list, p.Warning)
	}
	if soon, at, ok := p.expires(); ok && !now.Before(at) {
		list = append(list, fmt.Sprintf("its signature expired at %s: it stays in force, but is not loaded again; sign it anew", at.UTC().Format(time.RFC3339)))
	} else if ok && !now.Before(soon) {
		list = append(list, fmt.Sprintf("its signature expires at %s; sign it anew", at.UTC().Format(time.RFC3339)))
	}
	return list
}

// provenanceFiles returns the files beside policies that say which are let in: keys,
// and signature files, whether they are there or not.
func provenanceFiles(c *config.Config) []string {
	var paths []string
	for _, key := range c.Signatures.Keys {
		paths = append(paths, c.File(key))
	}
	for _, t := range c.Tenants {
		for _, policy := range []string{t.Policy, t.Audit} {
			if path, ok := c.PolicyFile(policy); ok {
				paths = append(paths, provenance.SignatureFile(path))
			}
		}
	}
	return paths
}

// find finds the policy that an argument of the command line names, for no tenant in
// particular: a signature that is there has to be right, by the keys of the
// configuration that serve would take.
func (o *options) find(arg string, stderr io.Writer) (source.Module, error) {
	f, err := source.Read(source.Argument(arg), ".", wasm.DefaultLimits().ModuleBytes)
	if err != nil {
		return source.Module{}, err
	}
	if err := o.checkSigned(f, stderr); err != nil {
		return source.Module{}, err
	}
	return f.Module()
}

func (o *options) checkSigned(f source.File, stderr io.Writer) error {
	if f.Path == "" {
		return nil
	}
	signature, err := signatureOf(f)
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

// signatureKeys returns the keys of the configuration.
func (o *options) signatureKeys() ([]provenance.Key, error) {
	c, _, err := o.load()
	if err != nil {
		return nil, err
	}
	keys, err := newTrust(c, nil).keys()
	if err != nil {
		return nil, config.Faults{{Place: config.Place{Source: c.Path}, Problem: "signatures.keys: " + err.Error()}}
	}
	return keys, nil
}
