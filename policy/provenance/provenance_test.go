package provenance

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"switchyard/policy/wasm"
)

const (
	hashA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hashB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

var now = time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)

func statement() Statement {
	return Statement{SHA256: hashA, Name: "routes.toml", Version: 3, Tenants: []string{"acme", "east-*"},
		NotBefore: now.Add(-time.Hour), Expires: now.Add(time.Hour)}
}

// aKey makes a key, both halves of it.
func aKey(t testing.TB) (*Signer, Key) {
	t.Helper()
	private, public, id, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ParseKeys(public)
	if err != nil || len(keys) != 1 || keys[0].ID != s.ID || s.ID != id || len(id) != 16 {
		t.Fatalf("made key %q, read signer %q and keys %v, %v", id, s.ID, keys, err)
	}
	return s, keys[0]
}

func signed(t testing.TB, s Statement, signers ...*Signer) []byte {
	t.Helper()
	e, err := NewEnvelope(&s)
	if err != nil {
		t.Fatal(err)
	}
	for _, signer := range signers {
		e.Sign(signer)
	}
	text, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestCheck(t *testing.T) {
	signer, key := aKey(t)
	other, otherKey := aKey(t)
	all := Rules{Pin: hashA, Required: true, Keys: []Key{key}, Tenant: "acme", Now: now, Floor: 3}
	with := func(change func(*Rules)) Rules {
		r := all
		change(&r)
		return r
	}
	of := func(change func(*Statement)) []byte {
		s := statement()
		change(&s)
		return signed(t, s, signer)
	}
	good := signed(t, statement(), signer)
	for name, c := range map[string]struct {
		signature []byte
		policy    string
		rules     Rules
		gate      wasm.Gate // empty: let in
		text      string    // of the refusal or the warning
		signers   []string
	}{
		"all is well":                 {signature: good, rules: all, signers: []string{key.ID}},
		"by pattern":                  {signature: good, rules: with(func(r *Rules) { r.Tenant = "east-7" }), signers: []string{key.ID}},
		"for no tenant in particular": {signature: good, rules: with(func(r *Rules) { r.Tenant = "" }), signers: []string{key.ID}},
		"pin in capitals":             {signature: good, rules: with(func(r *Rules) { r.Pin = strings.ToUpper(hashA) }), signers: []string{key.ID}},
		"in a folder":                 {signature: good, policy: "file:/etc/switchyard/routes.toml", rules: all, signers: []string{key.ID}},
		"nothing asked for":           {rules: Rules{Now: now}},
		"unsigned and not required":   {rules: with(func(r *Rules) { r.Required = false; r.Floor = 0 })},
		"pinned and unsigned":         {rules: Rules{Pin: hashA, Now: now}},
		"two keys, one known":         {signature: signed(t, statement(), other, signer), rules: all, signers: []string{key.ID}},
		"two keys, both known": {signature: signed(t, statement(), other, signer), rules: with(func(r *Rules) { r.Keys = []Key{key, otherKey} }),
			signers: []string{otherKey.ID, key.ID}},
		"the first moment":      {signature: good, rules: with(func(r *Rules) { r.Now = statement().NotBefore }), signers: []string{key.ID}},
		"the last moment":       {signature: good, rules: with(func(r *Rules) { r.Now = statement().Expires.Add(-1) }), signers: []string{key.ID}},
		"downgrade with a word": {signature: good, rules: with(func(r *Rules) { r.Floor, r.DowngradeTo = 9, 3 }), signers: []string{key.ID}},
		"a word that is over": {signature: good, rules: with(func(r *Rules) { r.DowngradeTo = 2 }), signers: []string{key.ID},
			text: "downgrade_to still lets version 2 in, and version 3 is here: remove downgrade_to"},
		"no keys": {signature: good, rules: Rules{Now: now}, text: "not verified: no keys are configured; name the files of public keys in signatures.keys"},
		"no keys, and what cannot be verified has expired": {signature: good, rules: Rules{Now: now.AddDate(1, 0, 0)}, text: "not verified"},

		"pin":                   {signature: good, rules: with(func(r *Rules) { r.Pin = hashB }), gate: GatePin, text: "its file has the sha256 " + hashA + ", and it is pinned to " + hashB},
		"pin before signature":  {rules: with(func(r *Rules) { r.Pin = hashB }), gate: GatePin, text: "pinned"},
		"required":              {rules: all, gate: GateSignature, text: "it must be signed, but routes.toml.sig does not exist; sign it with 'switchyard policy sign'"},
		"required without keys": {signature: good, rules: with(func(r *Rules) { r.Keys = nil }), gate: GateSignature, text: "no keys are configured that could vouch for it"},
		"signature taken away": {rules: with(func(r *Rules) { r.Required = false }), gate: GateVersion,
			text: "version 3 of it was signed, but routes.toml.sig does not exist; put its signature file beside it; if it is to be unsigned from now on, remove it from versions.json"},
		"empty signature file": {signature: []byte{}, rules: Rules{Now: now}, gate: GateSignature, text: "its signature file is damaged"},
		"wrong hash": {signature: of(func(s *Statement) { s.SHA256 = hashB }), rules: all, gate: GateSignature,
			text: "its file has the sha256 " + hashA + ", and its statement is about " + hashB + "; put the signed file back, or sign the new one"},
		"wrong hash without keys": {signature: of(func(s *Statement) { s.SHA256 = hashB }), rules: Rules{Now: now}, gate: GateSignature, text: "is about " + hashB},
		"unknown key": {signature: signed(t, statement(), other), rules: all, gate: GateSignature,
			text: `it is signed by unknown keys: "` + otherKey.ID + `"; known: ` + key.ID + "; sign it with one of the keys in signatures.keys"},
		"unknown key though not required": {signature: signed(t, statement(), other), rules: Rules{Keys: []Key{key}, Now: now}, gate: GateSignature, text: "unknown keys"},
		"wrong name": {signature: of(func(s *Statement) { s.Name = "other.toml" }), rules: all, gate: GateSignature,
			text: `its statement is about a policy named "other.toml"; sign it with --name routes.toml`},
		"not yet valid": {signature: good, rules: with(func(r *Rules) { r.Now = statement().NotBefore.Add(-1) }), gate: GateSignature,
			text: "not valid before 2031-05-01 11:00:00 UTC, and now is 2031-05-01 10:59:59 UTC"},
		"expired": {signature: good, rules: with(func(r *Rules) { r.Now = statement().Expires }), gate: GateSignature,
			text: "expired at 2031-05-01 13:00:00 UTC, and now is 2031-05-01 13:00:00 UTC; sign it again"},
		"wrong tenant": {signature: good, rules: with(func(r *Rules) { r.Tenant = "west" }), gate: GateSignature,
			text: "for the tenants acme, east-*, and not for west; sign it with --tenant west"},
		"downgrade": {signature: good, rules: with(func(r *Rules) { r.Floor = 4 }), gate: GateVersion,
			text: "it is version 3, and version 4 was in force already; use version 4 or a later one; to go back all the same, set tenant.acme.downgrade_to = 3"},
		"downgrade with a word for another": {signature: good, rules: with(func(r *Rules) { r.Floor, r.DowngradeTo = 4, 2 }), gate: GateVersion, text: "version 3"},
		"downgrade below a higher word":     {signature: good, rules: with(func(r *Rules) { r.Floor, r.DowngradeTo = 9, 5 }), gate: GateVersion, text: "version 3"},
	} {
		policy := c.policy
		if policy == "" {
			policy = "file:routes.toml"
		}
		f, err := Check(hashA, policy, c.signature, c.rules)
		var gate *wasm.GateError
		switch {
		case c.gate == "":
			if err != nil || f.Warning != "" && c.text == "" || !strings.Contains(f.Warning, c.text) || !slices.Equal(f.Signers, c.signers) {
				t.Errorf("%s: %+v, %v; want signers %v and warning %q", name, f, err, c.signers, c.text)
			}
			if (f.Statement != nil) != (c.signature != nil) || f.Verified() != (c.signers != nil) {
				t.Errorf("%s: statement %v, verified %v", name, f.Statement, f.Verified())
			}
		case !errors.As(err, &gate) || gate.Gate != c.gate || gate.Policy != policy || gate.Remedy == "" || !strings.Contains(err.Error(), c.text):
			t.Errorf("%s: %v; want the %s gate and %q", name, err, c.gate, c.text)
		case f.Statement != nil || f.Verified():
			t.Errorf("%s: refused, and found %+v all the same", name, f)
		}
	}
}

// Whoever changes anything of a signature file gets nothing in, or in the same.
func TestTampering(t *testing.T) {
	signer, key := aKey(t)
	rules := Rules{Required: true, Keys: []Key{key}, Tenant: "acme", Now: now}
	good := signed(t, statement(), signer)
	want := statement()
	for at := range good {
		for _, change := range []byte{1, 0x20, 0x80} {
			text := slices.Clone(good)
			text[at] ^= change
			f, err := Check(hashA, "routes.toml", text, rules)
			if err == nil && (f.Statement.Version != want.Version || !f.Statement.Expires.Equal(want.Expires) || !slices.Equal(f.Statement.Tenants, want.Tenants)) {
				t.Fatalf("with byte %d changed to %q: %+v", at, text[at], f.Statement)
			}
		}
	}
	for field, change := range map[string]func(*Statement){
		"sha256":     func(s *Statement) { s.SHA256 = hashB },
		"name":       func(s *Statement) { s.Name = "b.toml" },
		"version":    func(s *Statement) { s.Version++ },
		"tenants":    func(s *Statement) { s.Tenants = []string{"*"} },
		"not_before": func(s *Statement) { s.NotBefore = s.NotBefore.AddDate(-1, 0, 0) },
		"expires":    func(s *Statement) { s.Expires = s.Expires.AddDate(1, 0, 0) },
	} {
		e, err := ParseEnvelope(good)
		if err != nil {
			t.Fatal(err)
		}
		s := statement()
		change(&s)
		if e.Payload, err = s.Encode(); err != nil {
			t.Fatal(err)
		}
		text, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		_, err = Check(hashA, "routes.toml", text, rules)
		if err == nil || !strings.Contains(err.Error(), "the signature of key "+key.ID+" does not fit the statement") {
			t.Errorf("with another %s: %v", field, err)
		}
	}
}

// To change keys, both sign for a while, and the old one is withdrawn later.
func TestRotation(t *testing.T) {
	oldSigner, oldKey := aKey(t)
	newSigner, newKey := aKey(t)
	e, err := ParseEnvelope(signed(t, statement(), oldSigner))
	if err != nil {
		t.Fatal(err)
	}
	payload := string(e.Payload)
	e.Sign(newSigner)
	e.Sign(newSigner) // once more is not one more
	if len(e.Signatures) != 2 || string(e.Payload) != payload {
		t.Fatalf("%d signatures, payload %s", len(e.Signatures), e.Payload)
	}
	both, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string][]Key{"before": {oldKey}, "meanwhile": {oldKey, newKey}, "after": {newKey}} {
		f, err := Check(hashA, "routes.toml", both, Rules{Required: true, Keys: keys, Now: now})
		if err != nil || len(f.Signers) != len(keys) {
			t.Errorf("%s: %v, %v", name, f.Signers, err)
		}
	}
	if _, err := Check(hashA, "routes.toml", signed(t, statement(), oldSigner), Rules{Keys: []Key{newKey}, Now: now}); err == nil {
		t.Error("the old key still counts after it was withdrawn")
	}

	// A damaged signature is noticed though the other one fits.
	e.Signatures[0].Bytes[5] ^= 1
	damaged, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	_, err = Check(hashA, "routes.toml", damaged, Rules{Keys: []Key{oldKey, newKey}, Now: now})
	if err == nil || !strings.Contains(err.Error(), "the signature of key "+oldKey.ID+" does not fit") {
		t.Errorf("with one damaged signature: %v", err)
	}
}

func TestStatementsThatMakeNoSense(t *testing.T) {
	for want, change := range map[string]func(*Statement){
		"sha256":                             func(s *Statement) { s.SHA256 = "aa" },
		"lower-case hex":                     func(s *Statement) { s.SHA256 = strings.ToUpper(hashA) },
		"64 digits":                          func(s *Statement) { s.SHA256 = hashA[:62] + "zz" },
		`name ""`:                            func(s *Statement) { s.Name = "" },
		`name "a/b"`:                         func(s *Statement) { s.Name = "a/b" },
		`name ".."`:                          func(s *Statement) { s.Name = ".." },
		`name "a\nb"`:                        func(s *Statement) { s.Name = "a\nb" },
		"version 0":                          func(s *Statement) { s.Version = 0 },
		"version 9223372036854775808":        func(s *Statement) { s.Version = math.MaxInt64 + 1 },
		"names no tenants":                   func(s *Statement) { s.Tenants = nil },
		`tenant "Acme"`:                      func(s *Statement) { s.Tenants = []string{"acme", "Acme"} },
		`tenant ""`:                          func(s *Statement) { s.Tenants = []string{""} },
		`tenant "[a]"`:                       func(s *Statement) { s.Tenants = []string{"[a]"} },
		"not_before or expires":              func(s *Statement) { s.NotBefore = time.Time{} },
		"expires is missing":                 func(s *Statement) { s.Expires = time.Time{} },
		"it expires before it is valid":      func(s *Statement) { s.Expires = s.NotBefore },
		`tenant "` + strings.Repeat("a", 41): func(s *Statement) { s.Tenants = []string{strings.Repeat("a", 41)} },
	} {
		s := statement()
		change(&s)
		if text, err := s.Encode(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("encoded %s, %v; want %q", text, err, want)
		}
	}
}

func TestCovers(t *testing.T) {
	s := Statement{Tenants: []string{"acme", "east-*", "*-lab-*"}}
	for tenant, want := range map[string]bool{
		"acme": true, "east-": true, "east-7": true, "a-lab-1": true, "acme2": false, "east": false, "west-7": false, "lab-1": false, "": false,
	} {
		if got := s.Covers(tenant); got != want {
			t.Errorf("Covers(%q) = %v", tenant, got)
		}
	}
	if s.Tenants = []string{"*"}; !s.Covers("anybody") {
		t.Error("* does not cover everybody")
	}
}

func TestSoon(t *testing.T) {
	s := Statement{NotBefore: now, Expires: now.Add(100 * time.Hour)}
	if got := s.Soon(); !got.Equal(now.Add(90 * time.Hour)) {
		t.Errorf("of 100 hours: %v", got)
	}
	s.Expires = now.AddDate(1, 0, 0)
	if got := s.Soon(); !got.Equal(s.Expires.AddDate(0, 0, -14)) {
		t.Errorf("of a year: %v", got)
	}
}
