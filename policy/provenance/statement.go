package provenance

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Statement is what is signed about a policy. All fields are required.
type Statement struct {
	SHA256    string    `json:"sha256"`     // of the policy's file as it is, in lower-case hex
	Name      string    `json:"name"`       // of the file, without folders
	Version   uint64    `json:"version"`    // from 1 to MaxVersion; a later policy has a greater one
	Tenants   []string  `json:"tenants"`    // patterns of tenants' names, in which * matches any part
	NotBefore time.Time `json:"not_before"` // the first moment at which it is valid
	Expires   time.Time `json:"expires"`    // the moment from which on it is not
}

// MaxVersion is the greatest version, which is the greatest integer in TOML.
const MaxVersion = math.MaxInt64

// maxName is the longest file name in bytes that file systems allow.
const maxName = 255

// ParseStatement reads a statement and checks it.
func ParseStatement(text []byte) (*Statement, error) {
	var s Statement
	if err := decodeStrictly(text, &s, "sha256", "name", "version", "tenants", "not_before", "expires"); err != nil {
		return nil, fmt.Errorf("its statement is damaged: %w", err)
	}
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("its statement is damaged: %w", err)
	}
	return &s, nil
}

// Encode returns the statement as JSON.
func (s *Statement) Encode() ([]byte, error) {
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(s)
	return bytes.TrimSpace(b.Bytes()), err
}

// Check refuses a statement that is incomplete or contradictory.
func (s *Statement) Check() error {
	if sum, err := hex.DecodeString(s.SHA256); err != nil || len(sum) != 32 || strings.ToLower(s.SHA256) != s.SHA256 {
		return fmt.Errorf("sha256 %.80q is not 64 digits of lower-case hex", s.SHA256)
	}
	if err := CheckName(s.Name); err != nil {
		return err
	}
	if s.Version == 0 || s.Version > MaxVersion {
		return fmt.Errorf("version %d is not from 1 to %d", s.Version, uint64(MaxVersion))
	}
	if len(s.Tenants) == 0 {
		return errors.New(`it names no tenants; "*" is all`)
	}
	for _, t := range s.Tenants {
		if err := CheckTenant(t); err != nil {
			return err
		}
	}
	switch {
	case s.NotBefore.IsZero() || s.Expires.IsZero():
		return errors.New("not_before or expires is missing")
	case !s.NotBefore.Before(s.Expires):
		return errors.New("it expires before it is valid")
	}
	return nil
}

// CheckName refuses text that is not a file name.
func CheckName(name string) error {
	odd := func(r rune) bool { return r == '/' || r == '\\' || !unicode.IsPrint(r) }
	if name == "" || name == "." || name == ".." || len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, odd) {
		return fmt.Errorf("name %.300q is not that of a file, without folders", name)
	}
	return nil
}

// The names in a statement are checked when it is written as well as when it is read, so that no
// statement is signed that a server would refuse.

// CheckTenant refuses text that is neither a tenant's name nor a pattern of such names.
func CheckTenant(pattern string) error {
	odd := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '*' }
	if pattern == "" || len(pattern) > 40 || strings.ContainsFunc(pattern, odd) {
		return fmt.Errorf("tenant %.50q is neither a name, [a-z0-9-]{1,40}, nor a pattern with *", pattern)
	}
	return nil
}

// Covers reports whether the policy may be used for the tenant. A pattern matches the whole
// name: acme-* covers acme-eu and not acme.
func (s *Statement) Covers(tenant string) bool {
	return slices.ContainsFunc(s.Tenants, func(pattern string) bool {
		ok, err := path.Match(pattern, tenant)
		return ok && err == nil
	})
}

// Soon returns the time from which on operators should be warned that the statement expires:
// when a tenth of its lifetime is left, but at most two weeks before its end. That is the last
// three days of a statement for 30 days, and the last two weeks of one for a year.
func (s *Statement) Soon() time.Time {
	const most = 14 * 24 * time.Hour
	return s.Expires.Add(-min(s.Expires.Sub(s.NotBefore)/10, most))
}

// isOf returns an error unless the statement is about the file with that SHA-256, in lower-case
// hex.
func (s *Statement) isOf(fileHash string) error {
	if s.SHA256 != fileHash {
		return fmt.Errorf("its file has the sha256 %s, and its statement is about %s", fileHash, s.SHA256)
	}
	return nil
}
