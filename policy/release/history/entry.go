package history

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"switchyard/policy"
)

// A Kind says what an entry records.
type Kind string

const (
	Initial    Kind = "initial"     // the first policy of a tenant came into force
	AtOnce     Kind = "at-once"     // a policy came into force without stages
	Begin      Kind = "begin"       // a release begins: the candidate is compared
	Stage      Kind = "stage"       // a release reached another stage
	Pause      Kind = "pause"       // a release stands
	Resume     Kind = "resume"      // it goes on
	Done       Kind = "done"        // the candidate is in force
	RolledBack Kind = "rolled-back" // the policy before is in force again
	Withdrawn  Kind = "withdrawn"   // the stable policy was put back as the wanted one
	Superseded Kind = "superseded"  // another candidate arrived
	Refused    Kind = "refused"     // a policy was refused, and nothing changed
	Kill       Kind = "kill"        // the shipped policy is in force until Revive
	Revive     Kind = "revive"      // the policy that the configuration names counts again
	Retry      Kind = "retry"       // what was rolled back may come into force again
	Head       Kind = "head"        // a new file begins, and continues the chain
	Broken     Kind = "broken"      // a new chain begins, as the file before is damaged
)

// What the kinds say about what is in force; State.apply carries it out:
//
//	begin, stage, pause, resume   a release is under way, until an entry with a receipt ends it
//	initial, at-once, done        To is in force, and the one before is kept for a rollback
//	rolled-back                   To is in force again
//	kill, revive                  the shipped policy is in force instead, and no longer
//	retry                         nothing is held back

// ends reports whether an entry of the kind has a receipt: it says what is in force from then on.
func (k Kind) ends() bool {
	switch k {
	case Initial, AtOnce, Done, RolledBack, Withdrawn, Superseded, Kill, Revive:
		return true
	}
	return false
}

// An Entry is one line of the history.
//
//	{"n":8,"prev":"9f2c…","time":"…","kind":"at-once","tenant":"acme","from":{…},"to":{…},"who":{…},"receipt":{…}}
type Entry struct {
	Number  uint64          `json:"n"`                 // from 1 on; in one folder no number occurs twice
	Prev    string          `json:"prev"`              // SHA-256 of the bytes of the line before, without its end, in hex; empty in the first line of a chain
	Time    time.Time       `json:"time"`              // a label: the order is that of the chain
	Kind    Kind            `json:"kind"`              //
	Tenant  string          `json:"tenant,omitempty"`  //
	Release uint64          `json:"release,omitempty"` // the number of the entry that began the release; 0 if this entry is all of it
	From    *Policy         `json:"from,omitempty"`    // in force before
	To      *Policy         `json:"to,omitempty"`      // in force from now on, or refused
	Held    *Policy         `json:"held,omitempty"`    // is skipped from now on, until Retry
	Stage   *Progress       `json:"stage,omitempty"`   // of Begin, Stage, Pause and Resume: how far the release is
	Who     Who             `json:"who,omitzero"`
	Reason  string          `json:"reason,omitempty"`
	Details json.RawMessage `json:"details,omitempty"` // of the kind, for people
	Receipt json.RawMessage `json:"receipt,omitempty"` // a Statement, or its envelope
	File    *File           `json:"file,omitempty"`    // of Head and Broken: the file before
	State   State           `json:"state,omitempty"`   // of Head and Broken: what the entries before lead to

	blobs   [][]byte // files that its policies refer to
	receipt Receipt
}

// A Policy is one content that a tenant's policy had. Its sums are SHA-256, in hex.
type Policy struct {
	Name      string   `json:"name"`                       // as the configuration names it
	SHA256    string   `json:"sha256"`                     // of its file; of a shipped policy's module
	Config    string   `json:"config_sha256,omitempty"`    // of its configuration; empty without one
	Signature string   `json:"signature_sha256,omitempty"` // of its signature file; empty without one
	Identity  string   `json:"identity"`                   // of file, configuration and may settings together
	Version   uint64   `json:"version,omitempty"`          // that was signed; 0 without a verified signature
	Signers   []string `json:"signers,omitempty"`
}

// Same reports whether both are the same file with the same configuration. What the tenant
// may do is a limit and no part of it.
func (p *Policy) Same(q *Policy) bool {
	return p != nil && q != nil && p.SHA256 == q.SHA256 && p.Config == q.Config
}

// Short describes the policy in a line.
func (p *Policy) Short() string {
	if p == nil {
		return "none"
	}
	version := ""
	if p.Version > 0 {
		version = fmt.Sprintf("v%d ", p.Version)
	}
	return version + p.SHA256[:min(8, len(p.SHA256))]
}

// A Progress is how far a release is.
type Progress struct {
	State   string          `json:"state"` // shadow, stage or bake
	Share   float64         `json:"share"` // of the units that obey the candidate
	Paused  bool            `json:"paused,omitzero"`
	Reason  string          `json:"reason,omitempty"` // why it is paused
	Stopped bool            `json:"stopped,omitzero"` // the server stopped; it goes on with the next start
	Counts  *policy.Weighed `json:"counts,omitempty"` // if it stopped: the evidence so far
}

// Who is who caused an entry. It is what the server could observe, and no proof: of a file, for
// example, its owner and signers, not the person who copied it.
type Who struct {
	By      string     `json:"by,omitempty"`      // "token NAME", "socket, user 1000", "file", or what the server decided by
	Owner   string     `json:"owner,omitempty"`   // of the policy's file, as a number
	Changed *time.Time `json:"changed,omitempty"` // when that file was changed
	Signers []string   `json:"signers,omitempty"` // the keys that signed it
}

// A File names a file of the history.
type File struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`           // of all of it
	Line   int    `json:"line,omitempty"`   // of Broken: the first line that does not fit
	Reason string `json:"reason,omitempty"` // of Broken: why it does not
}

// maxLine is the size in bytes up to which a line is read.
const maxLine = 8 << 20

// line returns the entry as a line, without its end.
func (e *Entry) line() ([]byte, error) {
	text, err := encode(e)
	if len(text) > maxLine {
		return nil, fmt.Errorf("the entry would have %d bytes, at most %d are read", len(text), maxLine)
	}
	return text, err
}

// encode returns v as JSON in one line, without its end and with <, > and & as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	err := j.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Sum returns the SHA-256 of a text in hex.
func Sum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Identify returns the identity of a policy: SHA-256 over the sums of file and configuration
// and over the may settings. It depends on nothing that another version of the program could
// compute differently. The sums are in hex and thus without line ends, so no two triples give the
// same text.
func Identify(file, config, may string) string {
	return Sum(fmt.Appendf(nil, "%s\n%s\n%s\n", file, config, may))
}
