// Package trust decides which policy files the server may load: it reads the file that a
// tenant names and checks it against the pin, the signature keys and the ledger of versions
// that were in force. It loads no policy and keeps nothing but the ledger.
package trust

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"switchyard/plugins/source"
	"switchyard/policy/provenance"
	"switchyard/proxy/config"
)

// A Checker checks policy files against one configuration and the versions that were in
// force.
type Checker struct {
	Keys func() ([]provenance.Key, error) // reads the key files on each call, as they may change

	// Fetched returns what was fetched from an address, with its signature file, or nil. The error is
	// a *wasm.GateError. It is nil if nothing is fetched.
	Fetched func(name string) (source.File, []byte, error)

	config *config.Config
	ledger *provenance.Ledger
	now    func() time.Time
}

// New returns a Checker for the configuration. The ledger may be nil if no signed policy is
// checked.
func New(c *config.Config, l *provenance.Ledger) *Checker {
	return &Checker{config: c, ledger: l, now: time.Now, Keys: func() ([]provenance.Key, error) {
		var paths []string
		for _, path := range c.Signatures.Keys {
			paths = append(paths, c.File(path))
		}
		return provenance.ReadKeys(paths...)
	}}
}

// OpenLedger returns the ledger in the folder of signatures.state. The warning is set if the
// ledger cannot be stored and is lost when the process exits; the ledger is usable either way.
func OpenLedger(c *config.Config) (l *provenance.Ledger, warning error) {
	folder, err := c.StateFolder(c.Signatures.State, "signatures")
	if err != nil {
		return provenance.NewLedger(""), fmt.Errorf("which signed versions were in force is forgotten at exit; set signatures.state to a folder: %w", err)
	}
	return provenance.NewLedger(folder), nil
}

// A Proof is the result of a check that let a tenant's policy pass.
type Proof struct {
	provenance.Finding
	Signature []byte // the content of the signature file; nil if there is none
	rules     provenance.Rules
	policy    string // the name under which the ledger stores its versions
}

// Policy reads and checks the policy of a tenant. A refusal is a *wasm.GateError.
func (t *Checker) Policy(tenant config.Tenant) (source.Module, Proof, error) {
	return t.find(tenant.Policy, tenant, rulesOf(tenant), t.ledger)
}

// rulesOf returns the rules for the policy that a tenant names.
func rulesOf(tenant config.Tenant) provenance.Rules {
	return provenance.Rules{Pin: tenant.PolicySHA256, DowngradeTo: uint64(tenant.DowngradeTo)}
}

// Audit reads and checks the policy that is audited for a tenant. The tenant's pin does not
// apply, as it names the policy in force, and any version is allowed, as an audited policy
// routes nothing. A refusal is a *wasm.GateError.
func (t *Checker) Audit(tenant config.Tenant) (source.Module, Proof, error) {
	return t.find(tenant.Audit, tenant, provenance.Rules{}, provenance.NewLedger(""))
}

// find reads a policy and checks it by rules and a ledger of versions that were in force.
func (t *Checker) find(name string, tenant config.Tenant, r provenance.Rules, l *provenance.Ledger) (source.Module, Proof, error) {
	f, signature, err := t.Read(name)
	if err != nil {
		return source.Module{}, Proof{}, err
	}
	return t.proven(f, signature, tenant, r, l)
}

// Read returns the file of a policy and the content of its signature file, which may be nil. If only
// that cannot be read, it returns the file with the error, a *wasm.GateError.
func (t *Checker) Read(name string) (source.File, []byte, error) {
	if source.IsRemote(name) && t.Fetched != nil {
		return t.Fetched(name)
	}
	f, err := source.Read(name, filepath.Dir(t.config.Path), int64(t.config.WASM.ModuleSize))
	if err != nil {
		return source.File{}, nil, err
	}
	signature, err := ReadSignature(f)
	return f, signature, err
}

// proven returns the module of a file that passes the checks.
func (t *Checker) proven(f source.File, signature []byte, tenant config.Tenant, r provenance.Rules, l *provenance.Ledger) (source.Module, Proof, error) {
	p, err := t.prove(f, signature, tenant, r, l)
	if err != nil {
		return source.Module{}, Proof{}, err
	}
	m, err := f.Module()
	return m, p, err
}

// Kept checks a file that was in force, in place of its address that was not reached: by the same
// rules as if it had come from there. A refusal is a *wasm.GateError.
func (t *Checker) Kept(f source.File, signature []byte, tenant config.Tenant) (source.Module, Proof, error) {
	return t.proven(f, signature, tenant, rulesOf(tenant), t.ledger)
}

// Earlier checks a file that was in force before, with the content of its signature file, which
// may be nil. The pin names the policy that is wanted, so it does not apply; and going back to a
// signed version is the operator's word for it, as downgrade_to is. A refusal is a
// *wasm.GateError.
func (t *Checker) Earlier(f source.File, signature []byte, version uint64, tenant config.Tenant) (source.Module, Proof, error) {
	return t.proven(f, signature, tenant, provenance.Rules{DowngradeTo: version}, t.ledger)
}

// Prove checks a file against the rules, after it has filled in the tenant, the keys, the
// time and the least version. For a shipped policy only the pin counts: it is part of the
// program.
func (t *Checker) Prove(f source.File, tenant config.Tenant, r provenance.Rules) (Proof, error) {
	signature, err := ReadSignature(f)
	if err != nil {
		return Proof{}, err
	}
	return t.prove(f, signature, tenant, r, t.ledger)
}

// prove is Prove with the content of the signature file and a ledger. Without keys the versions
// that were in force do not matter, since nothing can say which version a file is.
func (t *Checker) prove(f source.File, signature []byte, tenant config.Tenant, r provenance.Rules, l *provenance.Ledger) (Proof, error) {
	name := provenance.Name(f.Name)
	if f.Path == "" {
		finding, err := provenance.Check(f.SHA256, f.Name, nil, provenance.Rules{Pin: r.Pin})
		return Proof{finding, nil, r, name}, err
	}
	var err error
	if r.Keys, err = t.Keys(); err != nil {
		return Proof{}, provenance.Refuse(provenance.GateSignature, f.Name, "correct signatures.keys", "%w", err)
	}
	if len(r.Keys) > 0 {
		if r.Floor, err = l.Floor(tenant.Name, name); err != nil {
			return Proof{}, provenance.Refuse(provenance.GateVersion, f.Name, "restore that file, or remove it: then every version is let in once more",
				"which versions were in force is not known: %w", err)
		}
	}
	r.Tenant, r.Required, r.Now = tenant.Name, r.Required || tenant.RequireSignature, t.now()
	finding, err := provenance.Check(f.SHA256, f.Name, signature, r)
	return Proof{finding, signature, r, name}, err
}

// ReadSignature returns the content of the signature file beside a policy's file, or nil if
// that does not exist or the policy is shipped. The error is a *wasm.GateError.
func ReadSignature(f source.File) ([]byte, error) {
	if f.Path == "" {
		return nil, nil
	}
	signature, err := provenance.ReadSignature(provenance.SignatureFile(f.Path))
	if err != nil {
		return nil, provenance.Refuse(provenance.GateSignature, f.Name, "make its signature file readable, or sign it again", "%w", err)
	}
	return signature, nil
}

// Same reports whether both proofs say the same about the same file.
func (p Proof) Same(q Proof) bool {
	if p.Verified() != q.Verified() {
		return false
	}
	return !p.Verified() || p.Statement.Version == q.Statement.Version && p.Statement.Expires.Equal(q.Statement.Expires) &&
		slices.Equal(p.Signers, q.Signers) && slices.Equal(p.Statement.Tenants, q.Statement.Tenants)
}

// Record stores in the ledger that the policy is in force. On an error only this process
// remembers it.
func (p Proof) Record(l *provenance.Ledger) error {
	if !p.Verified() {
		return nil
	}
	return l.Record(p.rules.Tenant, p.policy, p.Statement.Version, p.rules.DowngradeTo)
}

// Expires returns from when on to warn that the policy's signature expires, and when it does; ok is
// false for a policy without a verified signature.
func (p Proof) Expires() (soon, at time.Time, ok bool) {
	if !p.Verified() {
		return time.Time{}, time.Time{}, false
	}
	return p.Statement.Soon(), p.Statement.Expires, true
}

// Warnings returns what an operator should know about the policy at this time.
func (p Proof) Warnings(now time.Time) []string {
	var list []string
	if p.Warning != "" {
		list = append(list, p.Warning)
	}
	if soon, at, ok := p.Expires(); ok && !now.Before(at) {
		list = append(list, fmt.Sprintf("its signature expired at %s: it stays in force, but is not loaded again; sign it again", at.UTC().Format(time.RFC3339)))
	} else if ok && !now.Before(soon) {
		list = append(list, fmt.Sprintf("its signature expires at %s; sign it again", at.UTC().Format(time.RFC3339)))
	}
	return list
}

// Files returns the files that a check reads besides the policies: the keys, and the signature
// files, whether they exist or not.
func Files(c *config.Config) []string {
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
