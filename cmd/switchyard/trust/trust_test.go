package trust

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"switchyard/policy/provenance"
	"switchyard/policy/wasm"
	"switchyard/proxy/config"
)

// A signedPlace is a folder with a key, a policy, and a tenant that uses it.
type signedPlace struct {
	*testing.T
	dir    string
	config *config.Config
	tenant config.Tenant
	ledger *provenance.Ledger
}

func newSignedPlace(t *testing.T) *signedPlace {
	t.Helper()
	p := &signedPlace{T: t, dir: t.TempDir(), config: config.Default()}
	p.config.Path = filepath.Join(p.dir, "config.toml")
	p.config.Signatures = config.Signatures{Keys: []string{"key.pub"}, State: "state"}
	p.tenant = p.config.Tenants[0]
	p.tenant.Policy, p.tenant.RequireSignature = "file:routes.toml", true
	p.newKey("key")
	var warning error
	if p.ledger, warning = OpenLedger(p.config); warning != nil {
		t.Fatal(warning)
	}
	return p
}

func (p *signedPlace) write(name, text string) string {
	p.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.Fatal(err)
	}
	return path
}

func (p *signedPlace) newKey(name string) {
	p.Helper()
	if _, err := provenance.WriteNewKey(filepath.Join(p.dir, name)); err != nil {
		p.Fatal(err)
	}
}

// save saves a version of the policy, whose content differs from that of the others, and
// signs it for 90 days.
func (p *signedPlace) save(version uint64) {
	p.Helper()
	text := fmt.Sprintf("# version %d\n[route]\nelse = \"drop\"\n", version)
	p.write("routes.toml", text)
	now := time.Now().UTC().Truncate(time.Second)
	e, err := provenance.NewEnvelope(&provenance.Statement{
		SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(text))), Name: "routes.toml", Version: version,
		Tenants: []string{p.tenant.Name}, NotBefore: now.Add(-time.Minute), Expires: now.Add(90 * 24 * time.Hour),
	})
	if err != nil {
		p.Fatal(err)
	}
	signer, err := provenance.ReadSigner(filepath.Join(p.dir, "key"))
	if err != nil {
		p.Fatal(err)
	}
	e.Sign(signer)
	signature, err := e.Encode()
	if err != nil {
		p.Fatal(err)
	}
	p.write("routes.toml.sig", string(signature))
}

// reload puts the policy in force as the server does, if it is let in.
func (p *signedPlace) reload() (Proof, error) {
	_, found, err := New(p.config, p.ledger).Policy(p.tenant)
	if err == nil {
		err = found.Record(p.ledger)
	}
	return found, err
}

func (p *signedPlace) wantVersion(want uint64) {
	p.Helper()
	found, err := p.reload()
	if err != nil || !found.Verified() || found.Statement.Version != want {
		p.Errorf("found %+v, %v; want version %d", found.Finding, err, want)
	}
}

func (p *signedPlace) wantRefusal(gate wasm.Gate, text string) {
	p.Helper()
	_, err := p.reload()
	if e, ok := errors.AsType[*wasm.GateError](err); !ok || e.Gate != gate || !strings.Contains(err.Error(), text) {
		p.Errorf("got %v; want the %s gate and %q", err, gate, text)
	}
}

// A version below one that was in force is refused, after a restart as well, unless the
// operator allows the downgrade.
func TestNoDowngradeWithoutAWord(t *testing.T) {
	t.Parallel()
	p := newSignedPlace(t)
	p.save(3)
	p.wantVersion(3)
	p.save(5)
	p.wantVersion(5)
	p.wantVersion(5)
	p.save(3)
	p.wantRefusal(provenance.GateVersion, "it is version 3, and version 5 was in force already")
	p.ledger, _ = OpenLedger(p.config)
	p.wantRefusal(provenance.GateVersion, "it is version 3, and version 5 was in force already")

	// Taking the signature away, or asking for none, does not get around that.
	signature := filepath.Join(p.dir, "routes.toml.sig")
	if err := os.Remove(signature); err != nil {
		t.Fatal(err)
	}
	p.wantRefusal(provenance.GateSignature, "routes.toml.sig does not exist")
	p.tenant.RequireSignature = false
	p.wantRefusal(provenance.GateVersion, "version 5 of it was signed, but routes.toml.sig does not exist")

	// Another tenant never had it.
	other := p.tenant
	other.Name = "other"
	if _, found, err := New(p.config, p.ledger).Policy(other); err != nil || found.Statement != nil {
		t.Errorf("another tenant: %+v, %v", found, err)
	}

	// The operator's word is for one version, which is then the least.
	p.save(3)
	p.tenant.DowngradeTo = 2
	p.wantRefusal(provenance.GateVersion, "set tenant.default.downgrade_to = 3")
	p.tenant.DowngradeTo = 3
	p.wantVersion(3)
	p.tenant.DowngradeTo = 0
	p.wantVersion(3)
	p.save(2)
	p.wantRefusal(provenance.GateVersion, "version 3 was in force already")
	p.save(4)
	p.tenant.DowngradeTo = 3
	p.wantVersion(4)
	found, err := p.reload()
	if list := found.Warnings(time.Now()); err != nil || len(list) != 1 || !strings.Contains(list[0], "remove downgrade_to") {
		t.Errorf("with a word that is over: %q, %v", list, err)
	}
}

// A key that is removed from its file is no longer valid, without a change of the
// configuration. While the file of keys cannot be read, no signature is accepted.
func TestKeysAreReadEachTime(t *testing.T) {
	t.Parallel()
	p := newSignedPlace(t)
	p.save(1)
	checker := New(p.config, p.ledger)
	if _, _, err := checker.Policy(p.tenant); err != nil {
		t.Fatal(err)
	}
	p.newKey("other")
	if err := os.Rename(filepath.Join(p.dir, "other.pub"), filepath.Join(p.dir, "key.pub")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := checker.Policy(p.tenant); err == nil || !strings.Contains(err.Error(), "signed by unknown keys") {
		t.Errorf("with another key: %v", err)
	}
	p.write("key.pub", "")
	if _, _, err := checker.Policy(p.tenant); err == nil || !strings.Contains(err.Error(), "key.pub: there is no key in PEM; correct signatures.keys") {
		t.Errorf("without a key: %v", err)
	}
	p.tenant.Policy = "teamtalk"
	if _, found, err := checker.Policy(p.tenant); err != nil || found.Verified() {
		t.Errorf("a shipped policy: %+v, %v", found.Finding, err)
	}
}

// A policy that is only audited is held against the same keys, and is of any version.
func TestAuditedVersions(t *testing.T) {
	t.Parallel()
	p := newSignedPlace(t)
	p.save(5)
	p.wantVersion(5)
	p.save(2)
	p.tenant.Audit, p.tenant.PolicySHA256 = p.tenant.Policy, strings.Repeat("0", 64)
	checker := New(p.config, p.ledger)
	if _, found, err := checker.Audit(p.tenant); err != nil || !found.Verified() {
		t.Errorf("an older version: %+v, %v", found, err)
	}
	if err := os.Remove(filepath.Join(p.dir, "routes.toml.sig")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := checker.Audit(p.tenant); err == nil || !strings.Contains(err.Error(), "it must be signed") {
		t.Errorf("without a signature: %v", err)
	}
}

// What cannot be remembered for the next start holds until this one ends.
func TestStateThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	p := newSignedPlace(t)
	if err := os.MkdirAll(filepath.Join(p.dir, "state", "versions.json.next", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.save(5)
	found, err := p.reload()
	if err == nil || errors.As(err, new(*wasm.GateError)) || !found.Verified() {
		t.Fatalf("found %+v, %v; want that it is in force, and not remembered", found.Finding, err)
	}
	p.save(3)
	p.wantRefusal(provenance.GateVersion, "version 5 was in force already")
}

func TestExpiryIsForetold(t *testing.T) {
	t.Parallel()
	p := newSignedPlace(t)
	p.save(1)
	found, err := p.reload()
	if err != nil {
		t.Fatal(err)
	}
	soon, at, ok := found.Expires()
	if !ok || at.Sub(soon) < 8*24*time.Hour || at.Sub(soon) > 14*24*time.Hour {
		t.Errorf("to be told %v before %v, %v", at.Sub(soon), at, ok)
	}
	for when, want := range map[time.Time]string{
		soon.Add(-1): "",
		soon:         "its signature expires at " + at.Format(time.RFC3339),
		at.Add(-1):   "its signature expires at",
		at:           "its signature expired at " + at.Format(time.RFC3339) + ": it stays in force, but is not loaded again",
	} {
		if got := strings.Join(found.Warnings(when), "\n"); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("at %v: %q, want %q", when, got, want)
		}
	}
	checker := New(p.config, p.ledger)
	checker.now = func() time.Time { return at }
	if _, _, err := checker.Policy(p.tenant); err == nil || !strings.Contains(err.Error(), "its statement expired at") {
		t.Errorf("at its end: %v", err)
	}
	if _, _, ok := (Proof{}).Expires(); ok {
		t.Error("what is not signed expires")
	}
}

func TestProvenanceFiles(t *testing.T) {
	p := newSignedPlace(t)
	p.config.Tenants[0].Policy, p.config.Tenants[0].Audit = "file:a.toml", "file:/b/b.wasm"
	p.config.Tenants = append(p.config.Tenants, config.Tenant{Policy: "teamtalk"})
	want := []string{filepath.Join(p.dir, "key.pub"), filepath.Join(p.dir, "a.toml.sig"), "/b/b.wasm.sig"}
	if got := Files(p.config); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLedgerFolders(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/cache")
	t.Setenv("HOME", "/home")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Path = "/etc/yard/config.toml"
	for state, want := range map[string]string{
		"auto": filepath.Join(cache, "switchyard", "signatures"), "": "", "seen": "/etc/yard/seen", "/var/lib/seen": "/var/lib/seen",
	} {
		c.Signatures.State = state
		if l, err := OpenLedger(c); err != nil || l.Folder() != want {
			t.Errorf("%q: %q, %v; want %q", state, l.Folder(), err, want)
		}
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	c.Signatures.State = "auto"
	if l, err := OpenLedger(c); err == nil || l.Folder() != "" || !strings.Contains(err.Error(), "set signatures.state to a folder") {
		t.Errorf("without a home: %q, %v", l.Folder(), err)
	}
}
