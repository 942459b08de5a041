// Package provenance verifies a policy's file: by its pinned hash, or by signatures over a
// statement about it. It neither finds nor loads policies, and reads no configuration.
//
// A policy FILE is signed by FILE.sig beside it, a DSSE envelope in JSON:
//
//	payloadType  PayloadType
//	payload      a Statement as JSON, in base64
//	signatures   a list, so that keys can change: keyid, and sig in base64
//
// A signature is that of ed25519 over
//
//	"DSSEv1" SP length(payloadType) SP payloadType SP length(payload) SP payload
//
// with payload as the bytes of the statement's JSON and lengths in decimal. The
// keyid only says which key to try: it is the first 16 hex digits of the SHA-256 of
// the public key's PKIX DER. Unlike in DSSE, unknown fields are refused, because they may
// be meant to restrict something.
package provenance

import (
	"cmp"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"time"

	"switchyard/policy/wasm"
)

// The gates between finding and loading a policy, in their order.
const (
	GatePin       wasm.Gate = "pin"
	GateSignature wasm.Gate = "signature"
	GateVersion   wasm.Gate = "version"
)

// Rules are the conditions under which a policy may be used. The zero value requires
// nothing, but a signature file that exists must be about this policy's file.
type Rules struct {
	Pin         string    // SHA-256 that the file must have, in hex; empty for any
	Required    bool      // a signature of one of the keys must be there
	Keys        []Key     // whose signatures count
	Tenant      string    // that the policy is for; empty for none in particular
	Now         time.Time // compared with the statement's times
	Floor       uint64    // the highest version that is known to have been signed; 0 for none
	DowngradeTo uint64    // a version below the floor that the operator allows; 0 for none
}

// A Finding describes a policy that was not refused.
type Finding struct {
	Statement *Statement // nil if there is no signature file
	Signers   []string   // ids of the known keys whose signatures are valid; none: the statement is unverified
	Warning   string     // for the operator; or empty
}

// Verified reports whether one of the keys has signed the statement.
func (f Finding) Verified() bool { return len(f.Signers) > 0 }

// Name returns the name of the policy in a statement: its file without folders; of an https://
// or oci:// address the last part of its path, without a tag or a digest.
func Name(policy string) string {
	if address, ok := strings.CutPrefix(policy, "https://"); ok {
		address, _, _ = strings.Cut(address, "?")
		return path.Base(address)
	}
	if address, ok := strings.CutPrefix(policy, "oci://"); ok {
		address, _, _ = strings.Cut(address, "@")
		name, _, _ := strings.Cut(path.Base(address), ":")
		return name
	}
	return filepath.Base(strings.TrimPrefix(policy, "file:"))
}

// The gates from a file to a policy that may be loaded. What is not verified yet is not read:
// the statement is parsed only after one of its signatures is valid.
//
//	file ─▶ pin          SHA-256 is the pinned one, if there is a pin
//	     ─▶ signature    FILE.sig, if it is required or there is one
//	          envelope   parsed strictly: no unknown, double or misspelt keys
//	          Verify     at least one signature by a known key
//	          statement  is about this file, name, tenant and time
//	     ─▶ version      not below the floor
//
// A pin does not replace a signature and a signature does not replace a pin: with both, a
// policy must pass both.

// Check checks a policy's file against the rules. It takes the file's SHA-256 in hex, the
// policy's name, and the content of the signature file, nil if there is none. The error is
// a *wasm.GateError.
func Check(fileHash, policy string, signature []byte, r Rules) (Finding, error) {
	if r.Pin != "" && !strings.EqualFold(r.Pin, fileHash) {
		return Finding{}, Refuse(GatePin, policy, "put the pinned file back, or pin the other one if that is meant",
			"its file has the sha256 %s, and it is pinned to %s", fileHash, strings.ToLower(r.Pin))
	}
	switch {
	case r.Required && len(r.Keys) == 0:
		return Finding{}, Refuse(GateSignature, policy, "name the files of public keys in signatures.keys",
			"it must be signed, and no keys are configured that could vouch for it")
	case signature == nil:
		return Finding{}, unsigned(policy, r)
	}
	e, err := ParseEnvelope(signature)
	if err != nil {
		return Finding{}, Refuse(GateSignature, policy, "sign the policy again", "its signature file is damaged: %w", err)
	}
	if len(r.Keys) == 0 {
		return unverified(fileHash, policy, e)
	}
	return verified(fileHash, policy, e, r)
}

// Refuse returns the error of a policy that fails at a gate.
func Refuse(gate wasm.Gate, policy, remedy, format string, args ...any) *wasm.GateError {
	return &wasm.GateError{Gate: gate, Policy: policy, Err: fmt.Errorf(format, args...), Remedy: remedy}
}

// unsigned refuses a policy without a signature if one is required or an earlier version
// had one. Otherwise removing the signature would allow any downgrade.
func unsigned(policy string, r Rules) error {
	switch {
	case r.Required:
		return Refuse(GateSignature, policy, "sign it with 'switchyard policy sign', or put its signature file beside it",
			"it must be signed, but %s does not exist", SignatureFile(Name(policy)))
	case r.Floor > 0 && len(r.Keys) > 0:
		return Refuse(GateVersion, policy, "put its signature file beside it; if it is to be unsigned from now on, remove it from versions.json in the folder signatures.state",
			"version %d of it was signed, but %s does not exist", r.Floor, SignatureFile(Name(policy)))
	}
	return nil
}

// unverified checks that a statement is about the file, where no keys can verify its
// signatures.
func unverified(fileHash, policy string, e *Envelope) (Finding, error) {
	s, err := ParseStatement(e.Payload)
	if err == nil {
		err = s.isOf(fileHash)
	}
	if err != nil {
		return Finding{}, Refuse(GateSignature, policy, "sign the policy again, or remove the signature file", "%w", err)
	}
	return Finding{Statement: s, Warning: "its signature is not verified: no keys are configured; name the files of public keys in signatures.keys"}, nil
}

// verified verifies the signatures before it reads the statement.
func verified(fileHash, policy string, e *Envelope, r Rules) (Finding, error) {
	signers, err := e.Verify(r.Keys)
	if err != nil {
		return Finding{}, Refuse(GateSignature, policy, "sign it with one of the keys in signatures.keys, or name the public key of the one that signed it there", "%w", err)
	}
	s, err := ParseStatement(e.Payload)
	if err != nil {
		return Finding{}, Refuse(GateSignature, policy, "sign the policy again", "%w", err)
	}
	if err := s.allows(fileHash, policy, r); err != nil {
		return Finding{}, err
	}
	f := Finding{Statement: s, Signers: signers}
	if r.DowngradeTo > 0 && s.Version > r.DowngradeTo {
		f.Warning = fmt.Sprintf("downgrade_to still lets version %d in, and version %d is here: remove downgrade_to", r.DowngradeTo, s.Version)
	}
	return f, nil
}

// allows refuses a file, a tenant, a time or a version that the statement does not cover. The
// first moment at which a statement is valid is NotBefore; at Expires it is no longer valid.
func (s *Statement) allows(fileHash, policy string, r Rules) error {
	const format = "2006-01-02 15:04:05 MST"
	now, name := r.Now.UTC().Format(format), Name(policy)
	if err := s.isOf(fileHash); err != nil {
		return Refuse(GateSignature, policy, "put the signed file back, or sign the new one", "%w", err)
	}
	switch {
	case s.Name != name:
		return Refuse(GateSignature, policy, fmt.Sprintf("sign it with --name %s, or give the file its signed name", name),
			"its statement is about a policy named %q", s.Name)
	case r.Now.Before(s.NotBefore):
		return Refuse(GateSignature, policy, "wait until then, set the clock, or sign it again",
			"its statement is not valid before %s, and now is %s", s.NotBefore.UTC().Format(format), now)
	case !r.Now.Before(s.Expires):
		return Refuse(GateSignature, policy, "sign it again", "its statement expired at %s, and now is %s", s.Expires.UTC().Format(format), now)
	case r.Tenant != "" && !s.Covers(r.Tenant):
		return Refuse(GateSignature, policy, "sign it with --tenant "+r.Tenant,
			"its statement is for the tenants %s, and not for %s", strings.Join(s.Tenants, ", "), r.Tenant)
	case s.Version < r.Floor && s.Version != r.DowngradeTo:
		return Refuse(GateVersion, policy, fmt.Sprintf("use version %d or a later one; to go back all the same, set tenant.%s.downgrade_to = %d", r.Floor, cmp.Or(r.Tenant, "NAME"), s.Version),
			"it is version %d, and version %d was in force already", s.Version, r.Floor)
	}
	return nil
}
