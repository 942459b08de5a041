package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"switchyard/plugins/source"
	"switchyard/policy/provenance"
	"switchyard/policy/sanitize"
	"switchyard/policy/wasm"
)

// A signature says that a policy is meant for certain tenants, until a date, and follows another
// version. It is a file beside the policy, and may have signatures of several keys:
//
//	keygen ─▶ release.key, release.key.pub (for signatures.keys)
//	sign   ─▶ routes.toml.sig: statement() ─▶ envelope() ─▶ Sign ─▶ writeWhole
//	verify    policy_verify.go

// policyKeygen makes a key to sign with.
func policyKeygen(_ *options, stdout, _ io.Writer) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "keygen FILE",
		Short: "Make a key to sign policies with",
		Long: "Make a key to sign policies with: the private one in FILE, to be kept secret, and the\n" +
			"public one in FILE.pub, for signatures.keys. Existing files are not replaced.\n" +
			"Keys made with 'openssl genpkey -algorithm ed25519' work as well.",
		Args: exactly("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			id, err := provenance.WriteNewKey(args[0])
			if err != nil {
				return fmt.Errorf("make a key: %w", err)
			}
			made := madeKey{id, args[0], args[0] + ".pub"}
			if asJSON {
				return printJSON(stdout, made)
			}
			_, err = fmt.Fprintf(stdout, "key %s: private %s, public %s\n", made.ID, made.Private, made.Public)
			return err
		},
	}
	jsonFlag(c, &asJSON, "print JSON: the key's id and its files")
	return c
}

// A madeKey is what policy keygen prints as JSON. Its names do not change.
type madeKey struct {
	ID      string `json:"id"`
	Private string `json:"private"` // file
	Public  string `json:"public"`  // file
}

// signOptions are the flags of policy sign.
type signOptions struct {
	key, name, output  string
	notBefore, expires string
	version            uint64
	tenants            []string
	asJSON             bool
}

// A signedPolicy is what policy sign prints as JSON. Its names do not change.
type signedPolicy struct {
	File    string    `json:"file"` // of the signature
	Name    string    `json:"name"` // of the policy
	SHA256  string    `json:"sha256"`
	Version uint64    `json:"version"`
	Tenants []string  `json:"tenants"`
	Expires time.Time `json:"expires"`
	Signers []string  `json:"signers"` // ids of keys
}

// clockSkew is how long before now a statement becomes valid by default, for servers whose
// clocks are slow.
const clockSkew = 5 * time.Minute

// policySign signs a policy.
func policySign(_ *options, stdout, stderr io.Writer) *cobra.Command {
	var s signOptions
	c := &cobra.Command{
		Use:   "sign POLICY --key FILE --version N --tenant NAME... --expires TIME",
		Short: "Sign a policy for tenants",
		Long: "Sign a policy for tenants: write POLICY.sig beside it. A signature of the same statement\n" +
			"by another key is kept, so that keys can be changed; any other statement is replaced.\n\n" +
			"A TIME is a date (2030-12-31), a date and a time of day (2030-12-31T18:00:00Z), or for\n" +
			"--expires how long from now (90d, 12h). Versions only go up: a server that had one in\n" +
			"force refuses lower ones.",
		Example: "  switchyard policy sign routes.toml --key release.key --version 7 --tenant acme --tenant 'east-*' --expires 90d",
		Args:    exactly("POLICY"),
		RunE: func(c *cobra.Command, args []string) error {
			for _, name := range []string{"key", "version", "tenant", "expires"} {
				if !c.Flags().Changed(name) {
					return usageError{fmt.Errorf("sign needs --%s; see '%s --help'", name, c.CommandPath())}
				}
			}
			return s.run(args[0], time.Now(), stdout, stderr)
		},
	}
	f := c.Flags()
	f.StringVar(&s.key, "key", "", "`FILE` of the private key, in PEM")
	f.Uint64Var(&s.version, "version", 0, "version of the policy, a `number` from 1")
	f.StringArrayVar(&s.tenants, "tenant", nil, "`name` of a tenant that the policy is for, with * for any part; may be repeated")
	f.StringVar(&s.expires, "expires", "", "`TIME` from which it is no longer loaded")
	f.StringVar(&s.notBefore, "not-before", "", "`TIME` before which it is not loaded (default 5 minutes ago)")
	f.StringVar(&s.name, "name", "", "`name` of the policy's file where it is used (default as it is here)")
	f.StringVarP(&s.output, "output", "o", "", "`FILE` to write, or - for standard output (default POLICY.sig)")
	jsonFlag(c, &s.asJSON, "print JSON about the statement that was signed")
	return c
}

// run signs. The signature file is written last and whole, as the server refuses a policy beside a
// damaged one.
func (s *signOptions) run(arg string, now time.Time, stdout, stderr io.Writer) error {
	f, err := source.Read(source.Argument(arg), ".", wasm.DefaultLimits().ModuleBytes)
	if err != nil {
		return err
	}
	if f.Path == "" {
		return usageError{fmt.Errorf("%s is shipped with Switchyard and needs no signature; name a file", arg)}
	}
	if _, err := f.Module(); err != nil {
		return err
	}
	statement, err := s.statement(f, now)
	if err != nil {
		return usageError{err}
	}
	signer, err := provenance.ReadSigner(s.key)
	if err != nil {
		return dataError{err}
	}
	path := cmp.Or(s.output, provenance.SignatureFile(f.Path))
	// From here on, statement may be the one that was signed before.
	e, note, err := s.envelope(path, statement, now)
	if err != nil {
		return err
	}
	e.Sign(signer)
	text, err := e.Encode()
	if err != nil {
		return dataError{fmt.Errorf("%s: %w", path, err)}
	}
	if path == "-" {
		_, err := stdout.Write(text)
		return err
	}
	if err := writeWhole(path, text); err != nil {
		return fmt.Errorf("write the signature: %w", err)
	}
	if note != "" {
		fmt.Fprintf(stderr, "%s: %s\n", path, note)
	}
	if s.asJSON {
		return printJSON(stdout, signedPolicy{path, statement.Name, statement.SHA256, statement.Version, statement.Tenants, statement.Expires, strings.Split(signersOf(e), ", ")})
	}
	_, err = fmt.Fprintf(stdout, "%s: %s version %d for %s until %s, signed by %s\n", path, statement.Name, statement.Version,
		strings.Join(statement.Tenants, ", "), statement.Expires.Format(time.RFC3339), signersOf(e))
	return err
}

// statement returns the statement about the file. Its errors are about flags. What a server would
// refuse later, such as a time that is over, is refused here.
func (s *signOptions) statement(f source.File, now time.Time) (*provenance.Statement, error) {
	statement := &provenance.Statement{SHA256: f.SHA256, Name: s.name, Version: s.version, Tenants: s.tenants}
	if s.name == "" {
		statement.Name = provenance.Name(f.Name)
	}
	var err error
	if statement.Expires, err = moment(s.expires, now); err != nil {
		return nil, fmt.Errorf("--expires %w", err)
	}
	if !now.Before(statement.Expires) {
		return nil, fmt.Errorf("--expires %s is over; write a later time", s.expires)
	}
	statement.NotBefore = now.Add(-clockSkew).UTC().Truncate(time.Second)
	if s.notBefore != "" {
		if statement.NotBefore, err = moment(s.notBefore, now); err != nil {
			return nil, fmt.Errorf("--not-before %w", err)
		}
	}
	if err := statement.Check(); err != nil {
		return nil, fmt.Errorf("nothing to sign: %w", err)
	}
	return statement, nil
}

// envelope returns the envelope to sign: the existing one if it has the same statement, or
// else a new one, with a note on what that replaces. What is at path, and what happens:
//
//	nothing                           a new envelope
//	the same statement                its signatures stay, this one is added
//	another statement                 a new envelope, with a note
//	one of this name about another    an error: a server that had it would refuse the new one
//	file, with no lower version
//	damaged                           an error: its former content is unknown
func (s *signOptions) envelope(path string, statement *provenance.Statement, now time.Time) (e *provenance.Envelope, note string, err error) {
	fresh, err := provenance.NewEnvelope(statement)
	if err != nil || path == "-" {
		return fresh, "", err
	}
	there, before, err := readEnvelope(path)
	if err != nil {
		return nil, "", dataError{fmt.Errorf("%s: what is there is damaged: %w; remove it, or name another file by --output", path, err)}
	}
	switch {
	case there == nil:
		return fresh, "", nil
	case s.repeats(before, statement, now):
		*statement = *before
		return there, "", nil
	case before.Name == statement.Name && before.SHA256 != statement.SHA256 && before.Version >= statement.Version:
		return nil, "", usageError{fmt.Errorf("--version %d: %s signs version %d of another %s, and versions only go up; write --version %d",
			statement.Version, path, before.Version, statement.Name, before.Version+1)}
	}
	return fresh, fmt.Sprintf("replaces the statement about %s version %d, signed by %s", before.Name, before.Version, signersOf(there)), nil
}

// repeats reports whether the existing statement equals the new one. The time from which it is valid
// may differ unless the command line names it: by default it is about now, and two keys seldom sign
// in the same second.
func (s *signOptions) repeats(before, statement *provenance.Statement, now time.Time) bool {
	return before.SHA256 == statement.SHA256 && before.Name == statement.Name && before.Version == statement.Version &&
		slices.Equal(before.Tenants, statement.Tenants) && before.Expires.Equal(statement.Expires) &&
		(before.NotBefore.Equal(statement.NotBefore) || s.notBefore == "" && !now.Before(before.NotBefore))
}

// readEnvelope reads a signature file; nil if there is none.
func readEnvelope(path string) (*provenance.Envelope, *provenance.Statement, error) {
	text, err := provenance.ReadSignature(path)
	if err != nil || text == nil {
		return nil, nil, err
	}
	e, err := provenance.ParseEnvelope(text)
	if err != nil {
		return nil, nil, err
	}
	statement, err := provenance.ParseStatement(e.Payload)
	return e, statement, err
}

// signersOf formats the key ids in an envelope, which may come from an attacker.
func signersOf(e *provenance.Envelope) string {
	var ids []string
	for _, s := range e.Signatures {
		ids = append(ids, sanitize.Text(fmt.Sprintf("%.40s", s.KeyID)))
	}
	return strings.Join(ids, ", ")
}

// errMoment is the error of an invalid time.
var errMoment = errors.New("write a date (2030-12-31), a date and a time (2030-12-31T18:00:00Z), or a time from now (90d, 12h)")

// moment reads a time, to the second: a date is its first moment in UTC, and a duration, which may
// have days, counts from now.
func moment(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC().Truncate(time.Second), nil
		}
	}
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16) // up to 180 years, which a time.Duration can hold
		d = time.Duration(n) * 24 * time.Hour
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("%q: %w", text, errMoment)
	}
	return now.Add(d).UTC().Truncate(time.Second), nil
}
